#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct NllLossAttrs {
  int64_t ignore_index = -100;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("ignore_index", ignore_index);
    v("reduction", reduction);
  }
};
}  // namespace

/// Negative log-likelihood: -log_probs[target].
/// log_probs: NxC or NxCx..., floating; target: class indices Nx... (i64 or i32; those equal to
/// ignore_index do not count). weight: one weight for each class; a mean is then weighted too.
/// Reduction::none gives Nx....
API(Tensor nll_loss(In log_probs, In target, In weight = Tensor(), int64_t ignore_index = -100,
                    Reduction reduction = Reduction::mean))

OP(nll_loss) = {
    .name = "nll_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<NllLossAttrs>(),
    .infer =
        [](Infer& in) {
          check_classes(in);
          infer_loss(in, in.attrs<NllLossAttrs>().reduction, in.shape(1));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const NllLossAttrs*>(attrs);
      const Tensor x = rows_of_classes(in[0]);
      const Targets t =
          targets_of(in[1], a.ignore_index, in.size() > 2 ? in[2] : Tensor(), x.dtype());
      const Tensor p = squeeze(gather(x, 1, unsqueeze(t.index, 1)), {1});
      return {reduced(reshape(where(t.valid, neg(p * t.weights), 0.0), in[1].shape()), t.weights,
                      a.reduction)};
    },
    .onnx = "NegativeLogLikelihoodLoss",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 0), s.integers({3}, 0, 4)},
              [](const Tensors& x) { return Tensors{nll_loss(x[0], x[1])}; },
              "F.nll_loss({0}, {1})");
          s.add(
              {s.uniform({2, 4, 3}, -3, 0), s.integers({2, 3}, 0, 4), s.uniform({4}, 0.5, 2)},
              [](const Tensors& x) { return Tensors{nll_loss(x[0], x[1], x[2])}; },
              "(lambda w: -({0}.gather(1, {1}[:, None])[:, 0] * w).sum() / w.sum())({2}[{1}])");
          s.add(
              {s.uniform({4, 3}, -3, 0), s.ints_at({0, -100, 2, 1}, {4})},
              [](const Tensors& x) {
                return Tensors{nll_loss(x[0], x[1], Tensor(), -100, Reduction::none)};
              },
              "F.nll_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({4, 3}, -3, 0), s.ints_at({0, 1, 2, 1}, {4})},
              [](const Tensors& x) {
                return Tensors{nll_loss(x[0], x[1], Tensor(), 1, Reduction::sum)};
              },
              "F.nll_loss({0}, {1}, ignore_index=1, reduction='sum')");
          s.add(
              {s.uniform({0, 3}), s.integers({0}, 0, 3)},
              [](const Tensors& x) {
                return Tensors{nll_loss(x[0], x[1], Tensor(), -100, Reduction::sum)};
              },
              "F.nll_loss({0}, {1}, reduction='sum')");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{nll_loss(x[0], x[1])}; },
              "indices are i64 or i32");
          s.bad(
              {s.uniform({3, 4}), s.integers({2}, 0, 4)},
              [](const Tensors& x) { return Tensors{nll_loss(x[0], x[1])}; },
              "targets have shape 2, expected 3");
        },
};

Tensor nll_loss(In log_probs, In target, In weight, int64_t ignore_index, Reduction reduction) {
  Tensors in = {log_probs, target};
  if (weight->defined()) in.push_back(weight);
  return make(op_nll_loss, box(NllLossAttrs{ignore_index, number_of(reduction)}), in);
}

}  // namespace nacre
