#include "ops/op.h"

namespace nacre {

/// Sine, elementwise; x in radians.
/// x: any shape, floating (integers become f32).
API(Tensor sin(In x))

OP(sin) = {
    .name = "sin",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::sin(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * cos(v.x(0)); },
    .onnx = "Sin",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{sin(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.sin({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.sin({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.sin({0})");
          s.add({s.at({-0.0, 0, 1, -1, 3, -3, 100, INFINITY, -INFINITY, NAN})}, call,
                "torch.sin({0})")
              .check_grad = false;
        },
};

Tensor sin(In x) { return make(op_sin, {as_float(x)}); }

}  // namespace nacre
