#include "ops/op.h"

namespace nacre {

/// Sum, elementwise: a + b.
/// a, b: any types (promoted) and shapes that broadcast. Also operator+.
API(Tensor add(In a, In b))

OP(add) = {
    .name = "add",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return a + b; },
    .i2 =
        [](int64_t a, int64_t b) {
          return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dx(1) = v.dy(); },
    .onnx = "Add",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{add(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({3, 4})}, call, "{0} + {1}");
          s.add({s.uniform({2, 1, 3}), s.uniform({4, 1})}, call, "{0} + {1}");
          s.add({s.uniform({2, 3}), s.uniform({})}, call, "{0} + {1}");
          s.add({s.uniform({0, 3}), s.uniform({3})}, call, "{0} + {1}");
          s.add({s.integers({5}, -9, 9), s.integers({5}, -9, 9)}, call, "{0} + {1}");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor add(In a, In b) { return make(op_add, unify(std::move(a), std::move(b))); }

}  // namespace nacre
