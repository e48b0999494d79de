#include "ops/op.h"

#include <numbers>

namespace nacre {

/// Complementary error function, elementwise: 1 - erf(x) without cancellation.
/// x: any shape, floating (integers become f32).
API(Tensor erfc(In x))

OP(erfc) = {
    .name = "erfc",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::erfc(x); },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy() * (-2 * std::numbers::inv_sqrtpi) * exp(neg(square(v.x(0))));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{erfc(x[0])}; };
          s.add({s.uniform({3, 4}, -2, 2)}, call, "torch.erfc({0})");
          s.add({s.uniform({}, -2, 2)}, call, "torch.erfc({0})");
          s.add({s.uniform({0, 3}, -2, 2)}, call, "torch.erfc({0})");
          s.add({s.at({0, -0.0, 1e-5, 5, -6, INFINITY, -INFINITY, NAN})}, call, "torch.erfc({0})")
              .check_grad = false;
        },
};

Tensor erfc(In x) { return make(op_erfc, {as_float(x)}); }

}  // namespace nacre
