#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct SparsemaxLossAttrs {
  int64_t reduction = 0;
  void fields(FieldVisitor& v) { v("reduction", reduction); }
};
}  // namespace

/// The loss whose gradient is sparsemax(logits) - one_hot(target) (Martins and Astudillo, 2016); 0
/// once the target leads by 1. logits: NxC, floating; target: N, i64 or i32 in 0..C-1.
API(Tensor sparsemax_loss(In logits, In target, Reduction reduction = Reduction::mean))

OP(sparsemax_loss) = {
    .name = "sparsemax_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<SparsemaxLossAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_rank(0, 2);
          check_classes(in);
          infer_loss(in, in.attrs<SparsemaxLossAttrs>().reduction, in.shape(1));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const SparsemaxLossAttrs*>(attrs);
      // With scores measured from that of the target, and p = sparsemax: p . z - |p|^2 / 2 + 1 / 2.
      const Tensor target = unsqueeze(cast(in[1], DType::i64), 1);
      const Tensor z = in[0] - gather(in[0], 1, target);
      const Tensor p = sparsemax(in[0], 1);
      return {reduced(sum(p * (z - p * 0.5), {1}) + 0.5, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{sparsemax_loss(x[0], x[1], Reduction::none)};
          };
          // (|z - e_t|^2 - |z - p|^2) / 2 with the projection p, here of two classes.
          const char* torch =
              "(lambda z, p, e: ((z - e).square().sum(1) - (z - p).square().sum(1)) / 2)({0}, "
              "(lambda a: torch.stack((a, 1 - a), 1))((({0}[:, 0] - {0}[:, 1] + 1) / 2).clamp(0, "
              "1)), F.one_hot({1}, 2))";
          s.add({s.at({0.1, 0.4, 0.3, -0.2, 2, -1}, {3, 2}), s.ints_at({0, 1, 0}, {3})}, call,
                torch);
          s.add({s.uniform({4, 2}, -0.4, 0.4), s.integers({4}, 0, 2)}, call, torch);
          s.add({s.uniform({3, 5}), s.integers({3}, 0, 5)}, [](const Tensors& x) {
             return Tensors{sparsemax_loss(x[0], x[1])};
           }).oracle = "its gradient is sparsemax minus one-hot (properties_test)";
          s.add({s.uniform({0, 2}), s.integers({0}, 0, 2)}, call, torch);
          s.bad({s.uniform({3, 5}), s.integers({2}, 0, 5)}, call,
                "targets have shape 2, expected 3");
        },
};

Tensor sparsemax_loss(In logits, In target, Reduction reduction) {
  return make(op_sparsemax_loss, SparsemaxLossAttrs{number_of(reduction)}, {logits, target});
}

}  // namespace nacre
