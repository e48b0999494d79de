#include "ops/op.h"

namespace nacre {

/// x - tanh(x), elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor tanhshrink(In x))

OP(tanhshrink) = {
    .name = "tanhshrink",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors { return {in[0] - tanh(in[0])}; },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 1, 3)}, [](const Tensors& x) { return Tensors{tanhshrink(x[0])}; },
              "F.tanhshrink({0})");
          s.add(
              {s.uniform({3, 4}, -3, -1)},
              [](const Tensors& x) { return Tensors{tanhshrink(x[0])}; }, "F.tanhshrink({0})");
          s.add(
              {s.uniform({}, 1, 3)}, [](const Tensors& x) { return Tensors{tanhshrink(x[0])}; },
              "F.tanhshrink({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{tanhshrink(x[0])}; },
              "F.tanhshrink({0})");
          s.add(
               {s.at({-100, 0, 100, NAN})},
               [](const Tensors& x) { return Tensors{tanhshrink(x[0])}; }, "F.tanhshrink({0})")
              .check_grad = false;
        },
};

Tensor tanhshrink(In x) { return make(op_tanhshrink, {as_float(x)}); }

}  // namespace nacre
