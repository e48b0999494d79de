#include "ops/op.h"

#include "ops/math/special.h"

namespace nacre {

/// Logarithm of the absolute value of the gamma function, elementwise. Its poles (0, -1, ...) give
/// inf. x: any shape, floating (integers become f32).
API(Tensor lgamma(In x))

OP(lgamma) = {
    .name = "lgamma",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return special::lgamma(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * digamma(v.x(0)); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{lgamma(x[0])}; };
          s.add({s.uniform({3, 4}, 0.3, 5)}, call, "torch.lgamma({0})");
          s.add({s.uniform({}, 0.3, 5)}, call, "torch.lgamma({0})");
          s.add({s.uniform({0, 3}, 0.3, 5)}, call, "torch.lgamma({0})");
          s.add({s.at({1, 2, 0.5, 100, -0.5, -2.5, 0, -1, INFINITY, NAN})}, call,
                "torch.lgamma({0})")
              .check_grad = false;
        },
};

Tensor lgamma(In x) { return make(op_lgamma, {as_float(x)}); }

}  // namespace nacre
