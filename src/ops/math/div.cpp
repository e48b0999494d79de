#include "ops/op.h"

namespace nacre {

/// Quotient, elementwise: a / b. Integers become f32; see floor_div for integer division.
/// a, b: any types and shapes that broadcast. Also operator/.
API(Tensor div(In a, In b))

OP(div) = {
    .name = "div",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return a / b; },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy() / v.x(1);
          if (v.wants(1)) v.dx(1) = neg(v.dy() * v.y() / v.x(1));
        },
    .onnx = "Div",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{div(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({3, 4}, 0.5, 2)}, call, "{0} / {1}");
          s.add({s.uniform({3, 1}), s.uniform({4}, -2, -0.5)}, call, "{0} / {1}");
          s.add({s.at({1, -1, 0}), s.at({0, 0, 0})}, call, "{0} / {1}").check_grad = false;
          s.add({s.integers({5}, -9, 9), s.integers({5}, 1, 9)}, call, "{0} / {1}");
        },
};

Tensor div(In a, In b) { return make(op_div, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
