#include "ops/op.h"

namespace nacre {

/// x * hard_sigmoid(x), elementwise (Howard et al., 2019).
/// x: any shape, floating (integers become f32).
API(Tensor hard_swish(In x))

OP(hard_swish) = {
    .name = "hard_swish",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      return {in[0] * hard_sigmoid(in[0])};
    },
    .onnx = "HardSwish",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 2.5)},
              [](const Tensors& x) { return Tensors{hard_swish(x[0])}; }, "F.hardswish({0})");
          s.add(
              {s.uniform({3, 4}, -2.5, -0.2)},
              [](const Tensors& x) { return Tensors{hard_swish(x[0])}; }, "F.hardswish({0})");
          s.add(
              {s.uniform({}, 0.2, 2.5)}, [](const Tensors& x) { return Tensors{hard_swish(x[0])}; },
              "F.hardswish({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{hard_swish(x[0])}; },
              "F.hardswish({0})");
          s.add(
               {s.at({-5, -4, 5, 100, NAN})},
               [](const Tensors& x) { return Tensors{hard_swish(x[0])}; }, "F.hardswish({0})")
              .check_grad = false;
        },
};

Tensor hard_swish(In x) { return make(op_hard_swish, {as_float(x)}); }

}  // namespace nacre
