#include "ops/op.h"

#include <numbers>

namespace nacre {

/// Logarithm to base 10, elementwise. Zero gives -inf, negative numbers NaN.
/// x: any shape, floating (integers become f32).
API(Tensor log10(In x))

OP(log10) = {
    .name = "log10",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::log10(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / (v.x(0) * std::numbers::ln10); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{log10(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.log10({0})");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.log10({0})");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.log10({0})");
          s.add({s.at({0, 1, 10, 1000, -1, INFINITY, NAN})}, call, "torch.log10({0})").check_grad =
              false;
        },
};

Tensor log10(In x) { return make(op_log10, {as_float(x)}); }

}  // namespace nacre
