#include "ops/op.h"

namespace nacre {

/// True where x is inf or -inf, elementwise.
/// x: any shape and type (never true for integers). Returns bool.
API(Tensor isinf(In x))

OP(isinf) = {
    .name = "isinf",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.out(DType::boolean, in.shape(0));
        },
    .f1 = [](double x) -> double { return std::isinf(x); },
    .onnx = "IsInf",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{isinf(x[0])}; };
          s.add({s.at({0, -1, 1e30, NAN, INFINITY, -INFINITY})}, call, "torch.isinf({0})");
          s.add({s.uniform({0, 3})}, call, "torch.isinf({0})");
          s.add({s.uniform({})}, call, "torch.isinf({0})");
          s.add({s.integers({4}, -9, 9)}, call, "torch.isinf({0})");
        },
};

Tensor isinf(In x) { return make(op_isinf, {as_float(x)}); }

}  // namespace nacre
