#include "ops/op.h"

namespace nacre {

/// Angle of the point (b, a) from the positive x axis, elementwise, in radians from -pi to pi. The
/// gradient at (0, 0) is NaN. a (y), b (x): shapes that broadcast, floating (integers become f32).
API(Tensor atan2(In a, In b))

OP(atan2) = {
    .name = "atan2",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::atan2(a, b); },
    .vjp =
        [](Vjp& v) {
          const Tensor r = v.dy() / (square(v.x(0)) + square(v.x(1)));
          v.dx(0) = r * v.x(1);
          if (v.wants(1)) v.dx(1) = neg(r * v.x(0));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{atan2(x[0], x[1])}; };
          s.add({s.uniform({3, 4}, 0.2, 2), s.uniform({4}, -2, -0.2)}, call,
                "torch.atan2({0}, {1})");
          s.add({s.uniform({2, 1}, -2, -0.2), s.uniform({3}, 0.2, 2)}, call,
                "torch.atan2({0}, {1})");
          s.add({s.at({0, -0.0, 1, -1, 0, INFINITY, NAN}), s.at({1, -1, 0, 0, 0, INFINITY, 1})},
                call, "torch.atan2({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.atan2({0}, {1})");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor atan2(In a, In b) { return make(op_atan2, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
