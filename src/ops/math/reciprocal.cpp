#include "ops/op.h"

namespace nacre {

/// 1 / x, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor reciprocal(In x))

OP(reciprocal) = {
    .name = "reciprocal",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return 1 / x; },
    .vjp = [](Vjp& v) { v.dx(0) = neg(v.dy() * square(v.y())); },
    .onnx = "Reciprocal",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{reciprocal(x[0])}; };
          s.add({s.uniform({3, 4}, 0.3, 3)}, call, "torch.reciprocal({0})");
          s.add({s.uniform({}, 0.3, 3)}, call, "torch.reciprocal({0})");
          s.add({s.uniform({0, 3}, 0.3, 3)}, call, "torch.reciprocal({0})");
          s.add({s.at({0, -0.0, 1, -4, INFINITY, NAN})}, call, "torch.reciprocal({0})").check_grad =
              false;
        },
};

Tensor reciprocal(In x) { return make(op_reciprocal, {as_float(x)}); }

}  // namespace nacre
