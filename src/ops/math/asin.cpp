#include "ops/op.h"

namespace nacre {

/// Arc sine, elementwise, in radians. Outside of [-1, 1]: NaN.
/// x: any shape, floating (integers become f32).
API(Tensor asin(In x))

OP(asin) = {
    .name = "asin",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::asin(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * rsqrt((1.0 - v.x(0)) * (1.0 + v.x(0))); },
    .onnx = "Asin",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{asin(x[0])}; };
          s.add({s.uniform({3, 4}, -0.9, 0.9)}, call, "torch.asin({0})");
          s.add({s.uniform({}, -0.9, 0.9)}, call, "torch.asin({0})");
          s.add({s.uniform({0, 3}, -0.9, 0.9)}, call, "torch.asin({0})");
          s.add({s.at({-0.0, 0, 1, -1, 1.5, NAN})}, call, "torch.asin({0})").check_grad = false;
        },
};

Tensor asin(In x) { return make(op_asin, {as_float(x)}); }

}  // namespace nacre
