#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct MultiMarginLossAttrs {
  int64_t p = 1;
  double margin = 1;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("p", p);
    v("margin", margin);
    v("reduction", reduction);
  }
};
}  // namespace

/// Multi-class hinge loss: the sum over all classes j but the target t of max(0, margin - x_t +
/// x_j)^p, divided by C. input: NxC, floating; target: N, i64 or i32 in 0..C-1. p is 1 or 2.
API(Tensor multi_margin_loss(In input, In target, int64_t p = 1, double margin = 1,
                             Reduction reduction = Reduction::mean))

OP(multi_margin_loss) = {
    .name = "multi_margin_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<MultiMarginLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<MultiMarginLossAttrs>();
          in.check_rank(0, 2);
          check_classes(in);
          in.check(a.p == 1 || a.p == 2, {"p is ", a.p, ", either 1 or 2 is possible"});
          infer_loss(in, a.reduction, in.shape(1));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MultiMarginLossAttrs*>(attrs);
      const Tensor &x = in[0], target = unsqueeze(cast(in[1], DType::i64), 1);
      const Tensor gap = relu(x - gather(x, 1, target) + a.margin);
      const Tensor other = ne(arange(x.size(1)), target);
      const Tensor y = where(other, a.p == 2 ? square(gap) : gap, 0.0);
      return {reduced(sum(y, {1}) / static_cast<double>(x.size(1)), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.at({0.1, 0.7, -0.4, 0.3, 1.5, 0.2, -0.9, 0.8, 0.45}, {3, 3}),
               s.ints_at({2, 0, 1}, {3})},
              [](const Tensors& x) { return Tensors{multi_margin_loss(x[0], x[1])}; },
              "F.multi_margin_loss({0}, {1})");
          s.add(
              {s.at({0.1, 0.7, -0.4, 0.3, 1.5, 0.2, -0.9, 0.8, 0.45}, {3, 3}),
               s.ints_at({2, 0, 1}, {3})},
              [](const Tensors& x) {
                return Tensors{multi_margin_loss(x[0], x[1], 2, 0.5, Reduction::none)};
              },
              "F.multi_margin_loss({0}, {1}, p=2, margin=0.5, reduction='none')");
          s.add(
              {s.uniform({4, 5}, -0.4, 0.4), s.integers({4}, 0, 5)},
              [](const Tensors& x) {
                return Tensors{multi_margin_loss(x[0], x[1], 1, 1, Reduction::sum)};
              },
              "F.multi_margin_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({0, 3}), s.integers({0}, 0, 3)},
              [](const Tensors& x) {
                return Tensors{multi_margin_loss(x[0], x[1], 1, 1, Reduction::sum)};
              },
              "0 * {0}.sum()");
          s.bad(
              {s.uniform({3, 4}), s.integers({3}, 0, 4)},
              [](const Tensors& x) { return Tensors{multi_margin_loss(x[0], x[1], 3)}; }, "p is 3");
          s.bad(
              {s.uniform({3, 4}), s.integers({2}, 0, 4)},
              [](const Tensors& x) { return Tensors{multi_margin_loss(x[0], x[1])}; },
              "targets have shape 2");
        },
};

Tensor multi_margin_loss(In input, In target, int64_t p, double margin, Reduction reduction) {
  return make(op_multi_margin_loss, MultiMarginLossAttrs{p, margin, number_of(reduction)},
              {input, target});
}

}  // namespace nacre
