#include "ops/op.h"

namespace nacre {

/// True where x is zero (false), elementwise.
/// x: any shape and type. Returns bool.
API(Tensor logical_not(In x))

OP(logical_not) = {
    .name = "logical_not",
    .kind = OpKind::elementwise,
    .infer = [](Infer& in) { in.out(DType::boolean, in.shape(0)); },
    .f1 = [](double x) -> double { return x == 0; },
    .i1 = [](int64_t x) -> int64_t { return x == 0; },
    .onnx = "Not",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{logical_not(x[0])}; };
          s.add({s.boolean({3, 4})}, call, "torch.logical_not({0})");
          s.add({s.at({0, -0.0, 0.5, NAN, INFINITY})}, call, "torch.logical_not({0})");
          s.add({s.integers({0, 3}, 0, 3)}, call, "torch.logical_not({0})");
          s.add({s.integers({}, 0, 1)}, call, "torch.logical_not({0})");
        },
};

Tensor logical_not(In x) { return make(op_logical_not, {x}); }

}  // namespace nacre
