#include "ops/op.h"

namespace nacre {

/// Power, elementwise: a^b. Negative a with a fractional b gives NaN. Integer powers wrap; a
/// negative exponent of integers gives 0 (1 and -1 excepted).
/// a, b: any types (promoted) and shapes that broadcast.
API(Tensor pow(In a, In b))

OP(pow) = {
    .name = "pow",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::pow(a, b); },
    .i2 = [](int64_t a, int64_t b) -> int64_t {
      if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
      uint64_t y = 1, base = static_cast<uint64_t>(a);
      for (; b; b >>= 1, base *= base)
        if (b & 1) y *= base;
      return static_cast<int64_t>(y);
    },
    .vjp =
        [](Vjp& v) {
          const Tensor &a = v.x(0), &b = v.x(1);
          if (v.wants(0)) {  // at b = 0 the derivative is 0, even where a^(b-1) is infinite
            const Tensor flat = eq(b, 0.0);
            v.dx(0) = where(flat, 0.0, v.dy() * b * pow(a, where(flat, 1.0, b) - 1.0));
          }
          if (v.wants(1)) {  // 0^b is constant in b > 0, where log(0) is infinite
            const Tensor flat = logical_and(eq(a, 0.0), ge(b, 0.0));
            v.dx(1) = where(flat, 0.0, v.dy() * v.y() * log(where(flat, 1.0, a)));
          }
        },
    .onnx = "Pow",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{pow(x[0], x[1])}; };
          s.add({s.uniform({3, 4}, 0.2, 3), s.uniform({4}, -2, 2)}, call, "{0} ** {1}");
          s.add({s.uniform({2, 1}, 0.2, 3), s.uniform({})}, call, "{0} ** {1}");
          s.add(
              {s.uniform({3, 4}, -2, 2)},
              [](const Tensors& x) {
                return Tensors{pow(x[0], 3.0), pow(x[0], 2)};
              },
              "({0} ** 3, {0} ** 2)");
          s.add({s.uniform({0}), s.uniform({2, 1})}, call, "{0} ** {1}");
          s.add({s.at({0, 0, 0, -2, -2, 1, INFINITY, NAN, 2}),
                 s.at({0, 2, -1, 3, 0.5, NAN, -1, 0, INFINITY})},
                call, "{0} ** {1}")
              .check_grad = false;
          s.add({s.integers({9}, -5, 5), s.integers({9}, 0, 9)}, call, "{0} ** {1}");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor pow(In a, In b) {
  const auto [x, y] = unify(a, b);
  // The commonest exponent by far; as an input of the plan it would hide from the compiler.
  if (b->node()->weak && b->node()->number == 2) return square(x);
  return make(op_pow, {x, y});
}

}  // namespace nacre
