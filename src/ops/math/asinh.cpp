#include "ops/op.h"

namespace nacre {

/// Inverse hyperbolic sine, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor asinh(In x))

OP(asinh) = {
    .name = "asinh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::asinh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * rsqrt(square(v.x(0)) + 1.0); },
    .onnx = "Asinh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{asinh(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.asinh({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.asinh({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.asinh({0})");
          s.add({s.at({0, -0.0, 1e-5, 1e10, -1e10, INFINITY, -INFINITY, NAN})}, call,
                "torch.asinh({0})")
              .check_grad = false;
        },
};

Tensor asinh(In x) { return make(op_asinh, {as_float(x)}); }

}  // namespace nacre
