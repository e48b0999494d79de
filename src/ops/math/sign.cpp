#include "ops/op.h"

namespace nacre {

/// Sign, elementwise: -1, 0 or 1; NaN stays NaN. Its gradient is zero.
/// x: any shape and numeric type.
API(Tensor sign(In x))

OP(sign) = {
    .name = "sign",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return x > 0   ? 1.0
                                : x < 0 ? -1.0
                                        : x; },
    .i1 = [](int64_t x) -> int64_t { return (x > 0) - (x < 0); },
    .onnx = "Sign",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{sign(x[0])}; };
          s.add({s.uniform({3, 4}, 0.2, 2)}, call, "torch.sign({0})");
          s.add({s.uniform({}, 0.2, 2)}, call, "torch.sign({0})");
          s.add({s.uniform({0, 3}, 0.2, 2)}, call, "torch.sign({0})");
          s.add({s.at({-2, -0.0, 0, 3, -INFINITY, INFINITY})}, call, "torch.sign({0})").check_grad =
              false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.sign({0})");
          OpSample& nan = s.add({s.at({NAN})}, call);
          nan.oracle = "NaN stays NaN; torch gives 0";
          nan.check_grad = false;
        },
};

Tensor sign(In x) { return make(op_sign, {x}); }

}  // namespace nacre
