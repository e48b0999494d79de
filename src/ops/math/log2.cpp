#include "ops/op.h"

#include <numbers>

namespace nacre {

/// Logarithm to base 2, elementwise. Zero gives -inf, negative numbers NaN.
/// x: any shape, floating (integers become f32).
API(Tensor log2(In x))

OP(log2) = {
    .name = "log2",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::log2(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / (v.x(0) * std::numbers::ln2); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{log2(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.log2({0})");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.log2({0})");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.log2({0})");
          s.add({s.at({0, 1, 2, 1024, -1, INFINITY, NAN})}, call, "torch.log2({0})").check_grad =
              false;
        },
};

Tensor log2(In x) { return make(op_log2, {as_float(x)}); }

}  // namespace nacre
