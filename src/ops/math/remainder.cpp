#include "ops/op.h"

namespace nacre {

/// a - b * floor(a / b), elementwise: the remainder with the sign of b (Python's %). Integers
/// modulo 0 give 0. a, b: any types (promoted) and shapes that broadcast.
API(Tensor remainder(In a, In b))

OP(remainder) = {
    .name = "remainder",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 =
        [](double a, double b) {
          const double r = std::fmod(a, b);
          return r != 0 && (r < 0) != (b < 0) ? r + b : r;
        },
    .i2 = [](int64_t a, int64_t b) -> int64_t {
      if (b == 0 || b == -1) return 0;
      const int64_t r = a % b;
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy();
          if (v.wants(1)) v.dx(1) = neg(v.dy() * floor_div(v.x(0), v.x(1)));
        },
    .onnx = "Mod",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{remainder(x[0], x[1])}; };
          s.add({s.at({-1.3, 2.7, 5.2, -3.9}), s.at({1, 2, -2, -1.5})}, call,
                "torch.remainder({0}, {1})");
          s.add({s.uniform({3, 1}, 0.1, 0.9), s.uniform({4}, 1, 3)}, call,
                "torch.remainder({0}, {1})");
          s.add({s.at({-7, 7, -7, 7, 6, -6, 0, 5.5}), s.at({2, 2, -2, -2, 3, 3, 3, 0.5})}, call,
                "torch.remainder({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.remainder({0}, {1})");
          s.add({s.integers({9}, -9, 9), s.integers({9}, 1, 5)}, call, "torch.remainder({0}, {1})")
              .check_grad = false;
          s.add({s.integers({9}, -9, 9), s.integers({9}, -5, 0)}, call, "torch.remainder({0}, {1})")
              .check_grad = false;
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor remainder(In a, In b) { return make(op_remainder, unify(std::move(a), std::move(b))); }

}  // namespace nacre
