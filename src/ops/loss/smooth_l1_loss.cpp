#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct SmoothL1LossAttrs {
  double beta = 1;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("beta", beta);
    v("reduction", reduction);
  }
};
}  // namespace

/// Smooth absolute error of d = input - target: d^2 / (2 beta) where |d| < beta, else |d| - beta
/// / 2. beta = 0 is l1_loss. input, target: One shape, floating (integers become f32).
API(Tensor smooth_l1_loss(In input, In target, double beta = 1,
                          Reduction reduction = Reduction::mean))

OP(smooth_l1_loss) = {
    .name = "smooth_l1_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<SmoothL1LossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<SmoothL1LossAttrs>();
          in.check(a.beta >= 0, {"beta ", a.beta, " is negative"});
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const SmoothL1LossAttrs*>(attrs);
      if (a.beta == 0) return {l1_loss(in[0], in[1], static_cast<Reduction>(a.reduction))};
      const Tensor d = in[0] - in[1], size = abs(d);
      const Tensor near = le(size, a.beta);
      const Tensor square_part = square(where(near, d, 0.0)) * (0.5 / a.beta);
      return {reduced(where(near, square_part, size - 0.5 * a.beta), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1])}; },
              "F.smooth_l1_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -2, 2), s.uniform({2, 3, 2}, -2, 2)},
              [](const Tensors& x) {
                return Tensors{smooth_l1_loss(x[0], x[1], 1, Reduction::sum)};
              },
              "F.smooth_l1_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, -2, 2), s.uniform({5}, -2, 2)},
              [](const Tensors& x) {
                return Tensors{smooth_l1_loss(x[0], x[1], 1, Reduction::none)};
              },
              "F.smooth_l1_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, -2, 2), s.uniform({}, -2, 2)},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1])}; },
              "F.smooth_l1_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, -2, 2)},
              [](const Tensors& x) {
                return Tensors{smooth_l1_loss(x[0], x[1], 1, Reduction::none)};
              },
              "F.smooth_l1_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1], 0.5)}; },
              "F.smooth_l1_loss({0}, {1}, beta=0.5)");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1], 0)}; },
              "F.smooth_l1_loss({0}, {1}, beta=0.0)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1])}; },
              "have to be equal");
          s.bad(
              {s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{smooth_l1_loss(x[0], x[1], -1)}; },
              "beta -1 is negative");
        },
};

Tensor smooth_l1_loss(In input, In target, double beta, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_smooth_l1_loss, SmoothL1LossAttrs{beta, number_of(reduction)}, {x, y});
}

}  // namespace nacre
