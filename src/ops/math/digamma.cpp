#include "ops/op.h"

#include "ops/math/special.h"

namespace nacre {

/// Derivative of lgamma, elementwise. NaN at negative integers.
/// x: any shape, floating (integers become f32).
API(Tensor digamma(In x))

OP(digamma) = {
    .name = "digamma",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return special::digamma(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * polygamma(1, v.x(0)); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{digamma(x[0])}; };
          s.add({s.uniform({3, 4}, 0.3, 5)}, call, "torch.digamma({0})");
          s.add({s.uniform({}, 0.3, 5)}, call, "torch.digamma({0})");
          s.add({s.uniform({0, 3}, 0.3, 5)}, call, "torch.digamma({0})");
          OpSample& special = s.add({s.at({1, 2, 0.5, 100, -0.5, -2.5, 0, -1, 1e10, NAN})}, call,
                                    "torch.digamma({0})");
          special.check_grad = false;
          special.slack = 4;  // a sum of ten reciprocals, and a reflection
        },
};

Tensor digamma(In x) { return make(op_digamma, {as_float(x)}); }

}  // namespace nacre
