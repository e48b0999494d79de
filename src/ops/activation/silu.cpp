#include "ops/op.h"

namespace nacre {

/// Sigmoid linear unit (swish), elementwise: x * sigmoid(x) (Elfwing et al., 2018).
/// x: any shape, floating (integers become f32).
API(Tensor silu(In x))

OP(silu) = {
    .name = "silu",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors { return {in[0] * sigmoid(in[0])}; },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{silu(x[0])}; },
              "F.silu({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{silu(x[0])}; },
              "F.silu({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{silu(x[0])}; },
              "F.silu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{silu(x[0])}; },
              "F.silu({0})");
          s.add(
               {s.at({-100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{silu(x[0])}; }, "F.silu({0})")
              .check_grad = false;
        },
};

Tensor silu(In x) { return make(op_silu, {as_float(x)}); }

}  // namespace nacre
