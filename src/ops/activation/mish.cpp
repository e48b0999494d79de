#include "ops/op.h"

namespace nacre {

/// Mish, elementwise: x * tanh(softplus(x)) (Misra, 2019).
/// x: any shape, floating (integers become f32).
API(Tensor mish(In x))

OP(mish) = {
    .name = "mish",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      return {in[0] * tanh(softplus(in[0]))};
    },
    .onnx = "Mish",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{mish(x[0])}; },
              "F.mish({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{mish(x[0])}; },
              "F.mish({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{mish(x[0])}; },
              "F.mish({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{mish(x[0])}; },
              "F.mish({0})");
          s.add(
               {s.at({-30, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{mish(x[0])}; }, "F.mish({0})")
              .check_grad = false;
        },
};

Tensor mish(In x) { return make(op_mish, {as_float(x)}); }

}  // namespace nacre
