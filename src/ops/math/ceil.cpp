#include "ops/op.h"

namespace nacre {

/// Smallest integer not below x, elementwise. Its gradient is zero.
/// x: any shape and numeric type.
API(Tensor ceil(In x))

OP(ceil) = {
    .name = "ceil",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return std::ceil(x); },
    .i1 = [](int64_t x) { return x; },
    .onnx = "Ceil",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{ceil(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.ceil({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.ceil({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.ceil({0})");
          s.add({s.at({-2.5, -1.5, -0.5, -0.0, 0, 0.5, 1.5, 2.5, 1e10, -INFINITY, INFINITY, NAN})},
                call, "torch.ceil({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.ceil({0})");
        },
};

Tensor ceil(In x) { return make(op_ceil, {x}); }

}  // namespace nacre
