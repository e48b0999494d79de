#include "ops/op.h"

namespace nacre {

/// Inverse hyperbolic tangent, elementwise. At 1: inf; beyond: NaN.
/// x: any shape, floating (integers become f32).
API(Tensor atanh(In x))

OP(atanh) = {
    .name = "atanh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::atanh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / ((1.0 - v.x(0)) * (1.0 + v.x(0))); },
    .onnx = "Atanh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{atanh(x[0])}; };
          s.add({s.uniform({3, 4}, -0.9, 0.9)}, call, "torch.atanh({0})");
          s.add({s.uniform({}, -0.9, 0.9)}, call, "torch.atanh({0})");
          s.add({s.uniform({0, 3}, -0.9, 0.9)}, call, "torch.atanh({0})");
          s.add({s.at({0, -0.0, 1e-5, 1, -1, 1.5, NAN})}, call, "torch.atanh({0})").check_grad =
              false;
        },
};

Tensor atanh(In x) { return make(op_atanh, {as_float(x)}); }

}  // namespace nacre
