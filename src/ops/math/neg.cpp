#include "ops/op.h"

namespace nacre {

/// Negative, elementwise: -x. Also unary operator-.
/// x: any shape and numeric type.
API(Tensor neg(In x))

OP(neg) = {
    .name = "neg",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return -x; },
    .i1 = [](int64_t x) { return static_cast<int64_t>(0 - static_cast<uint64_t>(x)); },
    .vjp = [](Vjp& v) { v.dx(0) = neg(v.dy()); },
    .onnx = "Neg",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{neg(x[0])}; };
          s.add({s.uniform({3, 4})}, call, "-{0}");
          s.add({s.integers({5}, -9, 9)}, call, "-{0}");
        },
};

Tensor neg(In x) { return make(op_neg, {x}); }

}  // namespace nacre
