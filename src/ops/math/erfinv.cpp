#include "ops/op.h"

#include <numbers>

#include "ops/math/special.h"

namespace nacre {

/// Inverse error function, elementwise. At 1: inf; beyond: NaN.
/// x: any shape, floating (integers become f32).
API(Tensor erfinv(In x))

OP(erfinv) = {
    .name = "erfinv",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return special::erfinv(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * (0.5 / std::numbers::inv_sqrtpi) * exp(square(v.y())); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{erfinv(x[0])}; };
          s.add({s.uniform({3, 4}, -0.9, 0.9)}, call, "torch.erfinv({0})");
          s.add({s.uniform({}, -0.9, 0.9)}, call, "torch.erfinv({0})");
          s.add({s.uniform({0, 3}, -0.9, 0.9)}, call, "torch.erfinv({0})");
          s.add({s.at({0, 1e-5, 0.5, -0.5, 0.999, -0.999, 1, -1, 1.5, NAN})}, call,
                "torch.erfinv({0})")
              .check_grad = false;
        },
};

Tensor erfinv(In x) { return make(op_erfinv, {as_float(x)}); }

}  // namespace nacre
