#include "ops/op.h"

namespace nacre {

/// Integer part toward zero, elementwise. Its gradient is zero.
/// x: any shape and numeric type.
API(Tensor trunc(In x))

OP(trunc) = {
    .name = "trunc",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return std::trunc(x); },
    .i1 = [](int64_t x) { return x; },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{trunc(x[0])}; };
          s.add({s.uniform({3, 4}, -3, 3)}, call, "torch.trunc({0})");
          s.add({s.uniform({}, -3, 3)}, call, "torch.trunc({0})");
          s.add({s.uniform({0, 3}, -3, 3)}, call, "torch.trunc({0})");
          s.add({s.at({-2.5, -1.5, -0.5, -0.0, 0, 0.5, 1.5, 2.5, 1e10, -INFINITY, INFINITY, NAN})},
                call, "torch.trunc({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.trunc({0})");
        },
};

Tensor trunc(In x) { return make(op_trunc, {x}); }

}  // namespace nacre
