#include "ops/op.h"

namespace nacre {

/// Inverse hyperbolic cosine, elementwise. Below 1: NaN.
/// x: any shape, floating (integers become f32).
API(Tensor acosh(In x))

OP(acosh) = {
    .name = "acosh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::acosh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * rsqrt((v.x(0) - 1.0) * (v.x(0) + 1.0)); },
    .onnx = "Acosh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{acosh(x[0])}; };
          s.add({s.uniform({3, 4}, 1.2, 4)}, call, "torch.acosh({0})");
          s.add({s.uniform({}, 1.2, 4)}, call, "torch.acosh({0})");
          s.add({s.uniform({0, 3}, 1.2, 4)}, call, "torch.acosh({0})");
          s.add({s.at({1, 0.5, 1.001, 1e10, INFINITY, NAN})}, call, "torch.acosh({0})").check_grad =
              false;
        },
};

Tensor acosh(In x) { return make(op_acosh, {as_float(x)}); }

}  // namespace nacre
