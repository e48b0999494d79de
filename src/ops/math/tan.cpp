#include "ops/op.h"

namespace nacre {

/// Tangent, elementwise; x in radians.
/// x: any shape, floating (integers become f32).
API(Tensor tan(In x))

OP(tan) = {
    .name = "tan",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::tan(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * (square(v.y()) + 1.0); },
    .onnx = "Tan",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{tan(x[0])}; };
          s.add({s.uniform({3, 4}, -1.2, 1.2)}, call, "torch.tan({0})");
          s.add({s.uniform({}, -1.2, 1.2)}, call, "torch.tan({0})");
          s.add({s.uniform({0, 3}, -1.2, 1.2)}, call, "torch.tan({0})");
          s.add({s.at({-0.0, 0, 1, -1, 3, -3, INFINITY, NAN})}, call, "torch.tan({0})").check_grad =
              false;
        },
};

Tensor tan(In x) { return make(op_tan, {as_float(x)}); }

}  // namespace nacre
