#include "ops/op.h"

namespace nacre {

/// Exponential, elementwise: e^x.
/// x: any shape, floating (integers become f32).
API(Tensor exp(In x))

OP(exp) = {
    .name = "exp",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::exp(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * v.y(); },
    .onnx = "Exp",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{exp(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.exp({0})");
          s.add({s.at({0, -100, 80, INFINITY, -INFINITY, NAN})}, call, "torch.exp({0})")
              .check_grad = false;
        },
};

Tensor exp(In x) { return make(op_exp, {as_float(x)}); }

}  // namespace nacre
