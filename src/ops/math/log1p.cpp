#include "ops/op.h"

namespace nacre {

/// log(1 + x), elementwise, without cancellation near zero.
/// x: any shape, floating (integers become f32).
API(Tensor log1p(In x))

OP(log1p) = {
    .name = "log1p",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::log1p(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / (v.x(0) + 1.0); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{log1p(x[0])}; };
          s.add({s.uniform({3, 4}, -0.8, 4)}, call, "torch.log1p({0})");
          s.add({s.uniform({}, -0.8, 4)}, call, "torch.log1p({0})");
          s.add({s.uniform({0, 3}, -0.8, 4)}, call, "torch.log1p({0})");
          s.add({s.at({0, -0.0, 1e-7, -1e-7, -1, -2, 1e30, INFINITY, NAN})}, call,
                "torch.log1p({0})")
              .check_grad = false;
        },
};

Tensor log1p(In x) { return make(op_log1p, {as_float(x)}); }

}  // namespace nacre
