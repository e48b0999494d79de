#include "ops/op.h"

namespace nacre {

/// Bits inverted, elementwise; for bool, the negation.
/// x: any shape, an integer type or bool.
API(Tensor bitwise_not(In x))

OP(bitwise_not) = {
    .name = "bitwise_not",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(!is_float(in.dtype(0)), {"bits of a floating tensor cannot be inverted"});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const bool truth = r.out().dtype == DType::boolean;
          for (int64_t k = 0; k < r.out().n; ++k)
            r.out().i[k] = truth ? r.in().i[k] == 0 : ~r.in().i[k];
        },
    .onnx = "BitwiseNot",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{bitwise_not(x[0])}; };
          s.add({s.integers({3, 4}, -99, 99)}, call, "torch.bitwise_not({0})");
          s.add({s.integers({4}, 0, 255, DType::u8)}, call, "torch.bitwise_not({0})");
          s.add({s.boolean({5})}, call, "torch.bitwise_not({0})");
          s.add({s.integers({0}, 0, 9)}, call, "torch.bitwise_not({0})");
          s.bad({s.uniform({3})}, call, "cannot be inverted");
        },
};

Tensor bitwise_not(In x) { return make(op_bitwise_not, {x}); }

}  // namespace nacre
