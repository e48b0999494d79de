#include "ops/op.h"

#include <numbers>

namespace nacre {

/// Gauss error function, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor erf(In x))

OP(erf) = {
    .name = "erf",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::erf(x); },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy() * (2 * std::numbers::inv_sqrtpi) * exp(neg(square(v.x(0))));
        },
    .onnx = "Erf",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{erf(x[0])}; };
          s.add({s.uniform({3, 4}, -2, 2)}, call, "torch.erf({0})");
          s.add({s.uniform({}, -2, 2)}, call, "torch.erf({0})");
          s.add({s.uniform({0, 3}, -2, 2)}, call, "torch.erf({0})");
          s.add({s.at({0, -0.0, 1e-5, 6, -6, INFINITY, -INFINITY, NAN})}, call, "torch.erf({0})")
              .check_grad = false;
        },
};

Tensor erf(In x) { return make(op_erf, {as_float(x)}); }

}  // namespace nacre
