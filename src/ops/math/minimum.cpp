#include "ops/op.h"

namespace nacre {

/// Smaller of two, elementwise; NaN if either is. At equal values each gets half of the gradient.
/// a, b: any types (promoted) and shapes that broadcast.
API(Tensor minimum(In a, In b))

OP(minimum) = {
    .name = "minimum",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::isnan(a) || a < b ? a : b; },
    .i2 = [](int64_t a, int64_t b) { return std::min(a, b); },
    .vjp =
        [](Vjp& v) {
          const Tensor first = v.x(0) < v.x(1), tie = eq(v.x(0), v.x(1));
          const Tensor half = where(tie, v.dy() * 0.5, 0.0);
          if (v.wants(0)) v.dx(0) = where(first, v.dy(), half);
          if (v.wants(1)) v.dx(1) = where(v.x(1) < v.x(0), v.dy(), half);
        },
    .onnx = "Min",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{minimum(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({4}, 1.5, 2)}, call, "torch.minimum({0}, {1})");
          s.add({s.uniform({2, 1, 3}, 1.5, 2), s.uniform({2, 1})}, call, "torch.minimum({0}, {1})");
          s.add({s.at({1, NAN, 1, -INFINITY, 0}), s.at({NAN, 1, 1, INFINITY, 2})}, call,
                "torch.minimum({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({}), s.uniform({0, 2})}, call, "torch.minimum({0}, {1})");
          s.add({s.integers({9}, -5, 5), s.integers({9}, -5, 5)}, call, "torch.minimum({0}, {1})")
              .check_grad = false;
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor minimum(In a, In b) { return make(op_minimum, unify(std::move(a), std::move(b))); }

}  // namespace nacre
