#include "ops/op.h"

namespace nacre {

/// Absolute value, elementwise.
/// x: any shape and numeric type.
API(Tensor abs(In x))

OP(abs) = {
    .name = "abs",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return std::fabs(x); },
    .i1 = [](int64_t x) { return x < 0 ? static_cast<int64_t>(0 - static_cast<uint64_t>(x)) : x; },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * sign(v.x(0)); },
    .onnx = "Abs",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{abs(x[0])}; };
          s.add({s.uniform({3, 4}, 0.2, 2)}, call, "torch.abs({0})");
          s.add({s.uniform({}, 0.2, 2)}, call, "torch.abs({0})");
          s.add({s.uniform({0, 3}, 0.2, 2)}, call, "torch.abs({0})");
          s.add({s.at({-INFINITY, -1e30, -1, -0.0, 0, 1, 1e30, INFINITY, NAN})}, call,
                "torch.abs({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.abs({0})");
          s.add({s.uniform({5}, -2, -0.2)}, call, "torch.abs({0})");
        },
};

Tensor abs(In x) { return make(op_abs, {x}); }

}  // namespace nacre
