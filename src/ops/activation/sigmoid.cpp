#include "ops/op.h"

namespace nacre {

/// Logistic function, elementwise: 1 / (1 + e^-x).
/// x: any shape, floating (integers become f32).
API(Tensor sigmoid(In x))

OP(sigmoid) = {
    .name = "sigmoid",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * v.y() * (1.0 - v.y()); },
    .onnx = "Sigmoid",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{sigmoid(x[0])}; };
          s.add({s.uniform({3, 4}, -4, 4)}, call, "torch.sigmoid({0})");
          s.add({s.uniform({}, -4, 4)}, call, "torch.sigmoid({0})");
          s.add({s.uniform({0, 3}, -4, 4)}, call, "torch.sigmoid({0})");
          s.add({s.at({0, 30, -30, 100, -80, INFINITY, -INFINITY, NAN})}, call,
                "torch.sigmoid({0})")
              .check_grad = false;
        },
};

Tensor sigmoid(In x) { return make(op_sigmoid, {as_float(x)}); }

}  // namespace nacre
