#include "ops/op.h"

namespace nacre {

/// e^x - 1, elementwise, without cancellation near zero.
/// x: any shape, floating (integers become f32).
API(Tensor expm1(In x))

OP(expm1) = {
    .name = "expm1",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::expm1(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * (v.y() + 1.0); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{expm1(x[0])}; };
          s.add({s.uniform({3, 4}, -2, 2)}, call, "torch.expm1({0})");
          s.add({s.uniform({}, -2, 2)}, call, "torch.expm1({0})");
          s.add({s.uniform({0, 3}, -2, 2)}, call, "torch.expm1({0})");
          s.add({s.at({0, -0.0, 1e-7, -1e-7, 80, -100, INFINITY, -INFINITY, NAN})}, call,
                "torch.expm1({0})")
              .check_grad = false;
        },
};

Tensor expm1(In x) { return make(op_expm1, {as_float(x)}); }

}  // namespace nacre
