#include "ops/op.h"

namespace nacre {

/// Hyperbolic sine, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor sinh(In x))

OP(sinh) = {
    .name = "sinh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::sinh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * cosh(v.x(0)); },
    .onnx = "Sinh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{sinh(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.sinh({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.sinh({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.sinh({0})");
          s.add({s.at({0, -0.0, 1e-5, 20, -20, INFINITY, -INFINITY, NAN})}, call, "torch.sinh({0})")
              .check_grad = false;
        },
};

Tensor sinh(In x) { return make(op_sinh, {as_float(x)}); }

}  // namespace nacre
