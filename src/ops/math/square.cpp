#include "ops/op.h"

namespace nacre {

/// Square, elementwise: x * x.
/// x: any shape and numeric type.
API(Tensor square(In x))

OP(square) = {
    .name = "square",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return x * x; },
    .i1 =
        [](int64_t x) {
          return static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(x));
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * v.x(0) * 2.0; },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{square(x[0])}; };
          s.add({s.uniform({3, 4}, -2, 2)}, call, "torch.square({0})");
          s.add({s.uniform({}, -2, 2)}, call, "torch.square({0})");
          s.add({s.uniform({0, 3}, -2, 2)}, call, "torch.square({0})");
          s.add({s.at({-INFINITY, -3, -0.0, 0, INFINITY, NAN})}, call, "torch.square({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.square({0})");
        },
};

Tensor square(In x) { return make(op_square, {x}); }

}  // namespace nacre
