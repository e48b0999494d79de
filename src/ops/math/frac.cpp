#include "ops/op.h"

namespace nacre {

/// Fractional part with the sign of x, elementwise: x - trunc(x).
/// x: any shape, floating.
API(Tensor frac(In x))

OP(frac) = {
    .name = "frac",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors { return {in[0] - trunc(in[0])}; },
    .samples =
        [](Samples& s) {
          s.add(
              {s.at({-2.3, -0.4, 0.4, 1.7})}, [](const Tensors& x) { return Tensors{frac(x[0])}; },
              "torch.frac({0})");
          s.add(
               {s.at({-2, 0, 3, 1e10, NAN})}, [](const Tensors& x) { return Tensors{frac(x[0])}; },
               "torch.frac({0})")
              .check_grad = false;
          s.add(
              {s.uniform({}, 0.1, 0.9)}, [](const Tensors& x) { return Tensors{frac(x[0])}; },
              "torch.frac({0})");
          s.add(
              {s.uniform({2, 0})}, [](const Tensors& x) { return Tensors{frac(x[0])}; },
              "torch.frac({0})");
          s.bad(
              {s.integers({3}, 0, 9)}, [](const Tensors& x) { return Tensors{frac(x[0])}; },
              "floating type");
        },
};

Tensor frac(In x) { return make(op_frac, {x}); }

}  // namespace nacre
