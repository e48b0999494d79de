#include "ops/op.h"

namespace nacre {

/// True where x is not a number, elementwise.
/// x: any shape and type (never true for integers). Returns bool.
API(Tensor isnan(In x))

OP(isnan) = {
    .name = "isnan",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.out(DType::boolean, in.shape(0));
        },
    .f1 = [](double x) -> double { return std::isnan(x); },
    .onnx = "IsNaN",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{isnan(x[0])}; };
          s.add({s.at({0, -1, 1e30, NAN, INFINITY, -INFINITY})}, call, "torch.isnan({0})");
          s.add({s.uniform({0, 3})}, call, "torch.isnan({0})");
          s.add({s.uniform({})}, call, "torch.isnan({0})");
          s.add({s.integers({4}, -9, 9)}, call, "torch.isnan({0})");
        },
};

Tensor isnan(In x) { return make(op_isnan, {as_float(x)}); }

}  // namespace nacre
