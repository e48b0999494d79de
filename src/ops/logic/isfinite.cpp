#include "ops/op.h"

namespace nacre {

/// True where x is neither NaN nor infinite, elementwise.
/// x: any shape and type (always true for integers). Returns bool.
API(Tensor isfinite(In x))

OP(isfinite) = {
    .name = "isfinite",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.out(DType::boolean, in.shape(0));
        },
    .f1 = [](double x) -> double { return std::isfinite(x); },

    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{isfinite(x[0])}; };
          s.add({s.at({0, -1, 1e30, NAN, INFINITY, -INFINITY})}, call, "torch.isfinite({0})");
          s.add({s.uniform({0, 3})}, call, "torch.isfinite({0})");
          s.add({s.uniform({})}, call, "torch.isfinite({0})");
          s.add({s.integers({4}, -9, 9)}, call, "torch.isfinite({0})");
        },
};

Tensor isfinite(In x) { return make(op_isfinite, {as_float(x)}); }

}  // namespace nacre
