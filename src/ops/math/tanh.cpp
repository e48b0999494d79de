#include "ops/op.h"

namespace nacre {

/// Hyperbolic tangent, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor tanh(In x))

OP(tanh) = {
    .name = "tanh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::tanh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * (1.0 - square(v.y())); },
    .onnx = "Tanh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{tanh(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.tanh({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.tanh({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.tanh({0})");
          s.add({s.at({0, -0.0, 1e-5, 20, -20, INFINITY, -INFINITY, NAN})}, call, "torch.tanh({0})")
              .check_grad = false;
        },
};

Tensor tanh(In x) { return make(op_tanh, {as_float(x)}); }

}  // namespace nacre
