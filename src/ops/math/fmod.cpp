#include "ops/op.h"

namespace nacre {

/// Remainder with the sign of a, elementwise (C's fmod). Integers modulo 0 give 0.
/// a, b: any types (promoted) and shapes that broadcast.
API(Tensor fmod(In a, In b))

OP(fmod) = {
    .name = "fmod",
    .kind = OpKind::elementwise,
    .infer = infer_broadcast,
    .f2 = [](double a, double b) { return std::fmod(a, b); },
    .i2 = [](int64_t a, int64_t b) -> int64_t { return b == 0 || b == -1 ? 0 : a % b; },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy();
          if (v.wants(1)) v.dx(1) = neg(v.dy() * trunc(v.x(0) / v.x(1)));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{fmod(x[0], x[1])}; };
          s.add({s.at({-1.3, 2.7, 5.2, -3.9}), s.at({1, 2, -2, -1.5})}, call,
                "torch.fmod({0}, {1})");
          s.add({s.uniform({3, 1}, 0.1, 0.9), s.uniform({4}, 1, 3)}, call, "torch.fmod({0}, {1})");
          s.add({s.at({-7, 7, -7, 7, 6, -6, 0, 5.5}), s.at({2, 2, -2, -2, 3, 3, 3, 0.5})}, call,
                "torch.fmod({0}, {1})")
              .check_grad = false;
          s.add({s.uniform({2, 1}), s.uniform({0})}, call, "torch.fmod({0}, {1})");
          s.add({s.integers({9}, -9, 9), s.integers({9}, 1, 5)}, call, "torch.fmod({0}, {1})")
              .check_grad = false;
          s.add({s.integers({9}, -9, 9), s.integers({9}, -5, 0)}, call, "torch.fmod({0}, {1})")
              .check_grad = false;
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
        },
};

Tensor fmod(In a, In b) { return make(op_fmod, unify(std::move(a), std::move(b))); }

}  // namespace nacre
