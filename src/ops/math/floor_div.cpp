#include "ops/op.h"

namespace nacre {

/// Quotient rounded down, elementwise: floor(a / b), exact. Integers divided by 0 give 0. Its
/// gradient is zero. a, b: any types (promoted) and shapes that broadcast.
API(Tensor floor_div(In a, In b))

OP(floor_div) = {
    .name = "floor_div",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 =
        [](double a, double b) {
          if (b == 0) return a / b;
          const double r = std::fmod(a, b);
          double q = (a - r) / b;
          if (r != 0 && (r < 0) != (b < 0)) q -= 1;
          return q == 0 ? std::copysign(0.0, a / b) : std::nearbyint(q);
        },
    .i2 = [](int64_t a, int64_t b) -> int64_t {
      if (b == 0) return 0;
      if (b == -1) return static_cast<int64_t>(0 - static_cast<uint64_t>(a));
      return a / b - (a % b != 0 && (a < 0) != (b < 0));
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{floor_div(x[0], x[1])}; };
          s.add({s.uniform({3, 4}, -9, 9), s.uniform({4}, 1, 3)}, call,
                "torch.floor_divide({0}, {1})")
              .check_grad = false;
          s.add({s.at({-7, 7, -7, 7, 6, -6, 0, 5.5}), s.at({2, 2, -2, -2, 3, 3, 3, 0.5})}, call,
                "torch.floor_divide({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.floor_divide({0}, {1})")
              .check_grad = false;
          s.add({s.integers({9}, -9, 9), s.integers({9}, 1, 5)}, call,
                "torch.floor_divide({0}, {1})")
              .check_grad = false;
          s.add({s.integers({9}, -9, 9), s.integers({9}, -5, 0)}, call,
                "torch.floor_divide({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({3, 4}, -9, 9), s.uniform({4}, 1, 3)}, call).oracle =
              "zero, the gradient between jumps, which PyTorch does not give";
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor floor_div(In a, In b) { return make(op_floor_div, unify(std::move(a), std::move(b))); }

}  // namespace nacre
