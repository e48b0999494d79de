#include "ops/op.h"

namespace nacre {
namespace {
struct HardSigmoidAttrs {
  double slope = 1.0 / 6;
  double offset = 0.5;
  void fields(FieldVisitor& v) {
    v("slope", slope);
    v("offset", offset);
  }
};
}  // namespace

/// Piecewise linear sigmoid, elementwise: slope * x + offset limited to [0, 1].
/// x: any shape, floating (integers become f32).
API(Tensor hard_sigmoid(In x, double slope = 1.0 / 6, double offset = 0.5))

OP(hard_sigmoid) = {
    .name = "hard_sigmoid",
    .kind = OpKind::composite,
    .attrs = attr_type<HardSigmoidAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const HardSigmoidAttrs*>(attrs);
      return {clip(in[0] * a.slope + a.offset, 0, 1)};
    },
    .onnx = "HardSigmoid",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 2.5)},
              [](const Tensors& x) { return Tensors{hard_sigmoid(x[0])}; }, "F.hardsigmoid({0})");
          s.add(
              {s.uniform({3, 4}, -2.5, -0.2)},
              [](const Tensors& x) { return Tensors{hard_sigmoid(x[0])}; }, "F.hardsigmoid({0})");
          s.add(
              {s.uniform({}, 0.2, 2.5)},
              [](const Tensors& x) { return Tensors{hard_sigmoid(x[0])}; }, "F.hardsigmoid({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{hard_sigmoid(x[0])}; },
              "F.hardsigmoid({0})");
          s.add(
               {s.at({-INFINITY, -5, 5, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{hard_sigmoid(x[0])}; }, "F.hardsigmoid({0})")
              .check_grad = false;
          s.add(
              {s.at({-4, -2, -0.3, 0.3, 1.5, 4})},
              [](const Tensors& x) { return Tensors{hard_sigmoid(x[0], 0.2, 0.5)}; },
              "torch.clamp(0.2 * {0} + 0.5, 0, 1)");
        },
};

Tensor hard_sigmoid(In x, double slope, double offset) {
  return make(op_hard_sigmoid, HardSigmoidAttrs{slope, offset}, {as_float(x)});
}

}  // namespace nacre
