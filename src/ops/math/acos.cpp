#include "ops/op.h"

namespace nacre {

/// Arc cosine, elementwise, in radians. Outside of [-1, 1]: NaN.
/// x: any shape, floating (integers become f32).
API(Tensor acos(In x))

OP(acos) = {
    .name = "acos",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::acos(x); },
    .vjp = [](Vjp& v) { v.dx(0) = neg(v.dy() * rsqrt((1.0 - v.x(0)) * (1.0 + v.x(0)))); },
    .onnx = "Acos",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{acos(x[0])}; };
          s.add({s.uniform({3, 4}, -0.9, 0.9)}, call, "torch.acos({0})");
          s.add({s.uniform({}, -0.9, 0.9)}, call, "torch.acos({0})");
          s.add({s.uniform({0, 3}, -0.9, 0.9)}, call, "torch.acos({0})");
          s.add({s.at({-0.0, 0, 1, -1, 1.5, NAN})}, call, "torch.acos({0})").check_grad = false;
        },
};

Tensor acos(In x) { return make(op_acos, {as_float(x)}); }

}  // namespace nacre
