#include "ops/op.h"

namespace nacre {

/// Nearest integer, elementwise, halves to even. Its gradient is zero.
/// x: any shape and numeric type.
API(Tensor round(In x))

OP(round) = {
    .name = "round",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return std::nearbyint(x); },
    .i1 = [](int64_t x) { return x; },
    .onnx = "Round",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{round(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.round({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.round({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.round({0})");
          s.add({s.at({-2.5, -1.5, -0.5, -0.0, 0, 0.5, 1.5, 2.5, 1e10, -INFINITY, INFINITY, NAN})},
                call, "torch.round({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.round({0})");
        },
};

Tensor round(In x) { return make(op_round, {x}); }

}  // namespace nacre
