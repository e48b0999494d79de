#include "ops/op.h"

namespace nacre {

/// Softsign, elementwise: x / (1 + |x|).
/// x: any shape, floating (integers become f32).
API(Tensor softsign(In x))

OP(softsign) = {
    .name = "softsign",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      return {in[0] / (abs(in[0]) + 1.0)};
    },
    .onnx = "Softsign",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{softsign(x[0])}; },
              "F.softsign({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)},
              [](const Tensors& x) { return Tensors{softsign(x[0])}; }, "F.softsign({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{softsign(x[0])}; },
              "F.softsign({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{softsign(x[0])}; },
              "F.softsign({0})");
          s.add(
               {s.at({-1e10, -1e-5, 0, 1e-5, 1e10, NAN})},
               [](const Tensors& x) { return Tensors{softsign(x[0])}; }, "F.softsign({0})")
              .check_grad = false;
        },
};

Tensor softsign(In x) { return make(op_softsign, {as_float(x)}); }

}  // namespace nacre
