#include "ops/op.h"

namespace nacre {

/// Product, elementwise: a * b.
/// a, b: any types (promoted) and shapes that broadcast. Also operator*.
API(Tensor mul(In a, In b))

OP(mul) = {
    .name = "mul",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return a * b; },
    .i2 =
        [](int64_t a, int64_t b) {
          return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
        },
    .vjp =
        [](Vjp& v) {
          if (v.wants(0)) v.dx(0) = v.dy() * v.x(1);
          if (v.wants(1)) v.dx(1) = v.dy() * v.x(0);
        },
    .onnx = "Mul",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{mul(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({3, 4})}, call, "{0} * {1}");
          s.add({s.uniform({3, 1}), s.uniform({2, 1, 4})}, call, "{0} * {1}");
          s.add({s.integers({5}, -9, 9), s.integers({5}, -9, 9)}, call, "{0} * {1}");
        },
};

Tensor mul(In a, In b) { return make(op_mul, unify(std::move(a), std::move(b))); }

}  // namespace nacre
