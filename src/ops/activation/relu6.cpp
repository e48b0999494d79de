#include "ops/op.h"

namespace nacre {

/// min(max(x, 0), 6), elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor relu6(In x))

OP(relu6) = {
    .name = "relu6",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors { return {clip(in[0], 0, 6)}; },
    // By the result, which the next layer keeps anyway, so that x need not be kept.
    .vjp =
        [](Vjp& v) {
          const Tensor y = v.y();
          v.dx(0) = where(logical_and(y > 0.0, y < 6.0), v.dy(), 0.0);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 5)}, [](const Tensors& x) { return Tensors{relu6(x[0])}; },
              "F.relu6({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{relu6(x[0])}; },
              "F.relu6({0})");
          s.add(
              {s.uniform({}, 0.2, 5)}, [](const Tensors& x) { return Tensors{relu6(x[0])}; },
              "F.relu6({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{relu6(x[0])}; },
              "F.relu6({0})");
          s.add(
               {s.at({-1, 5, 7, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{relu6(x[0])}; }, "F.relu6({0})")
              .check_grad = false;
        },
};

Tensor relu6(In x) { return make(op_relu6, {as_float(x)}); }

}  // namespace nacre
