#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct HuberLossAttrs {
  double delta = 1;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("delta", delta);
    v("reduction", reduction);
  }
};
}  // namespace

/// Huber loss of d = input - target: d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2).
/// delta > 0. input, target: One shape, floating (integers become f32).
API(Tensor huber_loss(In input, In target, double delta = 1, Reduction reduction = Reduction::mean))

OP(huber_loss) = {
    .name = "huber_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<HuberLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<HuberLossAttrs>();
          in.check(a.delta > 0, {"delta ", a.delta, " is not positive"});
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const HuberLossAttrs*>(attrs);
      const Tensor d = in[0] - in[1], size = abs(d);
      const Tensor near = le(size, a.delta);
      const Tensor square_part = square(where(near, d, 0.0)) * 0.5;
      return {reduced(where(near, square_part, (size - 0.5 * a.delta) * a.delta), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1])}; },
              "F.huber_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -2, 2), s.uniform({2, 3, 2}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1], 1, Reduction::sum)}; },
              "F.huber_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, -2, 2), s.uniform({5}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1], 1, Reduction::none)}; },
              "F.huber_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, -2, 2), s.uniform({}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1])}; },
              "F.huber_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1], 1, Reduction::none)}; },
              "F.huber_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1], 0.5)}; },
              "F.huber_loss({0}, {1}, delta=0.5)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1])}; }, "have to be equal");
          s.bad(
              {s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{huber_loss(x[0], x[1], 0)}; },
              "delta 0 is not positive");
        },
};

Tensor huber_loss(In input, In target, double delta, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_huber_loss, HuberLossAttrs{delta, number_of(reduction)}, {x, y});
}

}  // namespace nacre
