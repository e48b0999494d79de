#include "ops/op.h"

namespace nacre {

/// Bits of a xor b, elementwise: a ^ b.
/// a, b: integers or bool (promoted), shapes that broadcast.
API(Tensor bitwise_xor(In a, In b))

OP(bitwise_xor) = {
    .name = "bitwise_xor",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(!is_float(in.dtype(0)), {"integers or bool are needed"});
          infer_broadcast(in);
        },
    .i2 = [](int64_t a, int64_t b) { return a ^ b; },
    .onnx = "BitwiseXor",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{bitwise_xor(x[0], x[1])}; };
          s.add({s.integers({3, 4}, -99, 99), s.integers({4}, -99, 99)}, call, "{0} ^ {1}");
          s.add({s.boolean({5}), s.boolean({5})}, call, "{0} ^ {1}");
          s.add({s.integers({2, 1}, 0, 9), s.integers({0}, 0, 9)}, call, "{0} ^ {1}");
          s.add({s.integers({6}, 0, 255, DType::u8), s.integers({}, 0, 255, DType::u8)}, call,
                "{0} ^ {1}");
          s.bad({s.uniform({3}), s.uniform({3})}, call, "integers or bool are needed");
          s.bad({s.integers({2, 3}, 0, 9), s.integers({4}, 0, 9)}, call, "do not broadcast");
        },
};

Tensor bitwise_xor(In a, In b) { return make(op_bitwise_xor, unify(std::move(a), std::move(b))); }

}  // namespace nacre
