#include "ops/op.h"

namespace nacre {

/// Magnitude of a with the sign of b, elementwise (a zero has a sign too).
/// a, b: shapes that broadcast, floating (integers become f32).
API(Tensor copysign(In a, In b))

OP(copysign) = {
    .name = "copysign",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::copysign(a, b); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * sign(v.x(0)) * copysign(1.0, v.x(1)); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{copysign(x[0], x[1])}; };
          s.add({s.uniform({3, 4}, 0.2, 2), s.uniform({4}, -2, -0.2)}, call,
                "torch.copysign({0}, {1})");
          s.add({s.uniform({2, 1}, -2, -0.2), s.uniform({3}, 0.2, 2)}, call,
                "torch.copysign({0}, {1})");
          s.add({s.at({1, -2, 3, INFINITY, 0}), s.at({-0.0, 0, -INFINITY, -1, -1})}, call,
                "torch.copysign({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.copysign({0}, {1})");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor copysign(In a, In b) { return make(op_copysign, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
