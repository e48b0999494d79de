#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct L1LossAttrs {
  int64_t reduction = 0;
  void fields(FieldVisitor& v) { v("reduction", reduction); }
};
}  // namespace

/// Absolute error: |input - target|.
/// input, target: One shape, floating (integers become f32).
API(Tensor l1_loss(In input, In target, Reduction reduction = Reduction::mean))

OP(l1_loss) = {
    .name = "l1_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<L1LossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<L1LossAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const L1LossAttrs*>(attrs);
      return {reduced(abs(in[0] - in[1]), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, -0.2), s.uniform({3, 4}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1])}; },
              "F.l1_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -2, -0.2), s.uniform({2, 3, 2}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1], Reduction::sum)}; },
              "F.l1_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, -2, -0.2), s.uniform({5}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1], Reduction::none)}; },
              "F.l1_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, -2, -0.2), s.uniform({}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1])}; },
              "F.l1_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -2, -0.2), s.uniform({0, 2}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1], Reduction::none)}; },
              "F.l1_loss({0}, {1}, reduction='none')");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{l1_loss(x[0], x[1])}; }, "have to be equal");
        },
};

Tensor l1_loss(In input, In target, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_l1_loss, L1LossAttrs{number_of(reduction)}, {x, y});
}

}  // namespace nacre
