#include "ops/op.h"

namespace nacre {

/// Reciprocal square root, elementwise: 1 / sqrt(x). Zero gives inf.
/// x: any shape, floating (integers become f32).
API(Tensor rsqrt(In x))

OP(rsqrt) = {
    .name = "rsqrt",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return 1 / std::sqrt(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * -0.5 * v.y() * square(v.y()); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{rsqrt(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.rsqrt({0})");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.rsqrt({0})");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.rsqrt({0})");
          s.add({s.at({0, 1, 4, -1, INFINITY, NAN})}, call, "torch.rsqrt({0})").check_grad = false;
        },
};

Tensor rsqrt(In x) { return make(op_rsqrt, {as_float(x)}); }

}  // namespace nacre
