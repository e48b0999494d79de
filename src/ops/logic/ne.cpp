#include "ops/op.h"

namespace nacre {

/// True where a != b, elementwise. Comparisons with NaN are true.
/// a, b: any types (promoted) and shapes that broadcast. Returns bool.
API(Tensor ne(In a, In b))

OP(ne) = {
    .name = "ne",
    .kind = OpKind::elementwise,
    .infer = infer_compare,
    .f2 = [](double a, double b) -> double { return a != b; },
    .i2 = [](int64_t a, int64_t b) -> int64_t { return a != b; },
    .onnx = "",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{ne(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({4})}, call, "{0} != {1}");
          s.add({s.at({1, 2, NAN, 0}), s.at({1, 3, NAN, -0.0})}, call, "{0} != {1}");
          s.add({s.integers({9}, 0, 3), s.integers({9}, 0, 3)}, call, "{0} != {1}");
        },
};

Tensor ne(In a, In b) { return make(op_ne, unify(std::move(a), std::move(b))); }

}  // namespace nacre
