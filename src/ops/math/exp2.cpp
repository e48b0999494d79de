#include "ops/op.h"

#include <numbers>

namespace nacre {

/// Power of two, elementwise: 2^x.
/// x: any shape, floating (integers become f32).
API(Tensor exp2(In x))

OP(exp2) = {
    .name = "exp2",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::exp2(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * v.y() * std::numbers::ln2; },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{exp2(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.exp2({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.exp2({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.exp2({0})");
          s.add({s.at({0, 1, -3, 10, -200, INFINITY, -INFINITY, NAN})}, call, "torch.exp2({0})")
              .check_grad = false;
        },
};

Tensor exp2(In x) { return make(op_exp2, {as_float(x)}); }

}  // namespace nacre
