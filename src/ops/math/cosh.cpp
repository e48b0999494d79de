#include "ops/op.h"

namespace nacre {

/// Hyperbolic cosine, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor cosh(In x))

OP(cosh) = {
    .name = "cosh",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::cosh(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * sinh(v.x(0)); },
    .onnx = "Cosh",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{cosh(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.cosh({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.cosh({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.cosh({0})");
          s.add({s.at({0, -0.0, 1e-5, 20, -20, INFINITY, -INFINITY, NAN})}, call, "torch.cosh({0})")
              .check_grad = false;
        },
};

Tensor cosh(In x) { return make(op_cosh, {as_float(x)}); }

}  // namespace nacre
