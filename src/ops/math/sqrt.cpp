#include "ops/op.h"

namespace nacre {

/// Square root, elementwise. Negative numbers give NaN.
/// x: any shape, floating (integers become f32).
API(Tensor sqrt(In x))

OP(sqrt) = {
    .name = "sqrt",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::sqrt(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * 0.5 / v.y(); },
    .onnx = "Sqrt",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{sqrt(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.sqrt({0})");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.sqrt({0})");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.sqrt({0})");
          s.add({s.at({0, -0.0, 1, 4, -1, INFINITY, NAN})}, call, "torch.sqrt({0})").check_grad =
              false;
        },
};

Tensor sqrt(In x) { return make(op_sqrt, {as_float(x)}); }

}  // namespace nacre
