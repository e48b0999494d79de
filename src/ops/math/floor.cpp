#include "ops/op.h"

namespace nacre {

/// Largest integer not above x, elementwise. Its gradient is zero.
/// x: any shape and numeric type.
API(Tensor floor(In x))

OP(floor) = {
    .name = "floor",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return std::floor(x); },
    .i1 = [](int64_t x) { return x; },
    .onnx = "Floor",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{floor(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.floor({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.floor({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.floor({0})");
          s.add({s.at({-2.5, -1.5, -0.5, -0.0, 0, 0.5, 1.5, 2.5, 1e10, -INFINITY, INFINITY, NAN})},
                call, "torch.floor({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.floor({0})");
        },
};

Tensor floor(In x) { return make(op_floor, {x}); }

}  // namespace nacre
