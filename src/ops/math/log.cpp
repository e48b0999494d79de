#include "ops/op.h"

namespace nacre {

/// Natural logarithm, elementwise. Zero gives -inf, negative numbers NaN.
/// x: any shape, floating (integers become f32).
API(Tensor log(In x))

OP(log) = {
    .name = "log",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::log(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / v.x(0); },
    .onnx = "Log",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{log(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.log({0})");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.log({0})");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.log({0})");
          s.add({s.at({0, -0.0, 1, -1, 1e30, INFINITY, NAN})}, call, "torch.log({0})").check_grad =
              false;
        },
};

Tensor log(In x) { return make(op_log, {as_float(x)}); }

}  // namespace nacre
