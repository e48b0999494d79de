#include "ops/op.h"

namespace nacre {

/// sqrt(a^2 + b^2), elementwise, without overflow. The gradient at (0, 0) is 0.
/// a, b: shapes that broadcast, floating (integers become f32).
API(Tensor hypot(In a, In b))

OP(hypot) = {
    .name = "hypot",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::hypot(a, b); },
    .vjp =
        [](Vjp& v) {
          const Tensor zero = eq(v.y(), 0.0);
          const Tensor r = where(zero, 0.0, v.dy() / where(zero, 1.0, v.y()));
          v.dx(0) = r * v.x(0);
          if (v.wants(1)) v.dx(1) = r * v.x(1);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{hypot(x[0], x[1])}; };
          s.add({s.uniform({3, 4}, 0.2, 2), s.uniform({4}, -2, -0.2)}, call,
                "torch.hypot({0}, {1})");
          s.add({s.uniform({2, 1}), s.uniform({3}, 0.2, 2)}, call, "torch.hypot({0}, {1})");
          s.add({s.at({0, 3, 1e30, INFINITY, NAN}), s.at({0, -4, 1e30, 1, 1})}, call,
                "torch.hypot({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.hypot({0}, {1})");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor hypot(In a, In b) { return make(op_hypot, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
