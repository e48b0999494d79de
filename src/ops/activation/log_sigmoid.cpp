#include "ops/op.h"

namespace nacre {

/// Logarithm of the logistic function, elementwise: -log(1 + e^-x), exact far out on both sides.
/// x: any shape, floating (integers become f32).
API(Tensor log_sigmoid(In x))

OP(log_sigmoid) = {
    .name = "log_sigmoid",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 =
        [](double x) {
          return std::isnan(x) ? x : std::min(x, 0.0) - std::log1p(std::exp(-std::fabs(x)));
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * sigmoid(neg(v.x(0))); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{log_sigmoid(x[0])}; };
          s.add({s.uniform({3, 4}, -4, 4)}, call, "F.logsigmoid({0})");
          s.add({s.uniform({}, -4, 4)}, call, "F.logsigmoid({0})");
          s.add({s.uniform({0, 3}, -4, 4)}, call, "F.logsigmoid({0})");
          s.add({s.at({0, 30, -30, 100, -1000, INFINITY, -INFINITY})}, call, "F.logsigmoid({0})")
              .check_grad = false;
        },
};

Tensor log_sigmoid(In x) { return make(op_log_sigmoid, {as_float(x)}); }

}  // namespace nacre
