#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct MseLossAttrs {
  int64_t reduction = 0;
  void fields(FieldVisitor& v) { v("reduction", reduction); }
};
}  // namespace

/// Squared error: (input - target)^2.
/// input, target: One shape, floating (integers become f32).
API(Tensor mse_loss(In input, In target, Reduction reduction = Reduction::mean))

OP(mse_loss) = {
    .name = "mse_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<MseLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<MseLossAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MseLossAttrs*>(attrs);
      return {reduced(square(in[0] - in[1]), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1])}; },
              "F.mse_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -2, 2), s.uniform({2, 3, 2}, -2, 2)},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1], Reduction::sum)}; },
              "F.mse_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, -2, 2), s.uniform({5}, -2, 2)},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1], Reduction::none)}; },
              "F.mse_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, -2, 2), s.uniform({}, -2, 2)},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1])}; },
              "F.mse_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, -2, 2)},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1], Reduction::none)}; },
              "F.mse_loss({0}, {1}, reduction='none')");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{mse_loss(x[0], x[1])}; }, "have to be equal");
        },
};

Tensor mse_loss(In input, In target, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_mse_loss, MseLossAttrs{number_of(reduction)}, {x, y});
}

}  // namespace nacre
