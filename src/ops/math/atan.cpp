#include "ops/op.h"

namespace nacre {

/// Arc tangent, elementwise, in radians.
/// x: any shape, floating (integers become f32).
API(Tensor atan(In x))

OP(atan) = {
    .name = "atan",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::atan(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / (square(v.x(0)) + 1.0); },
    .onnx = "Atan",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{atan(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.atan({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.atan({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.atan({0})");
          s.add({s.at({-INFINITY, -1e30, -1, -0.0, 0, 1, 1e30, INFINITY, NAN})}, call,
                "torch.atan({0})")
              .check_grad = false;
        },
};

Tensor atan(In x) { return make(op_atan, {as_float(x)}); }

}  // namespace nacre
