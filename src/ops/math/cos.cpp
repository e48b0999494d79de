#include "ops/op.h"

namespace nacre {

/// Cosine, elementwise; x in radians.
/// x: any shape, floating (integers become f32).
API(Tensor cos(In x))

OP(cos) = {
    .name = "cos",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::cos(x); },
    .vjp = [](Vjp& v) { v.dx(0) = neg(v.dy() * sin(v.x(0))); },
    .onnx = "Cos",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{cos(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.cos({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.cos({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.cos({0})");
          s.add({s.at({-0.0, 0, 1, -1, 3, -3, 100, INFINITY, -INFINITY, NAN})}, call,
                "torch.cos({0})")
              .check_grad = false;
        },
};

Tensor cos(In x) { return make(op_cos, {as_float(x)}); }

}  // namespace nacre
