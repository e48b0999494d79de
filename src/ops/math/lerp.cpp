#include "ops/op.h"

namespace nacre {

/// Linear interpolation, elementwise: a + w * (b - a). Exact at w = 0 and w = 1.
/// a, b, w: shapes that broadcast, floating.
API(Tensor lerp(In a, In b, In w))

OP(lerp) = {
    .name = "lerp",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 3, {"takes 3 inputs, got ", in.inputs()});
          in.check_float(0);
          infer_broadcast(in);
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor d = in[1] - in[0];
      // From the nearer end, so that w = 1 gives b.
      return {where(lt(in[2], 0.5), in[0] + in[2] * d, in[1] - (1.0 - in[2]) * d)};
    },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy() * (1.0 - v.x(2));
          v.dx(1) = v.dy() * v.x(2);
          v.dx(2) = v.dy() * (v.x(1) - v.x(0));
          // Elementwise gradients in the broadcast shape, brought back to those of the inputs.
          for (size_t i = 0; i < 3; ++i) v.dx(i) = sum_to_shape(v.dx(i), v.x(i).shape());
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({3, 4}, 0.6, 1)},
              [](const Tensors& x) { return Tensors{lerp(x[0], x[1], x[2])}; },
              "torch.lerp({0}, {1}, {2})");
          s.add(
              {s.uniform({3, 1}), s.uniform({4}), s.uniform({}, 0, 0.4)},
              [](const Tensors& x) { return Tensors{lerp(x[0], x[1], x[2])}; },
              "torch.lerp({0}, {1}, {2})");
          s.add(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) {
                return Tensors{lerp(x[0], x[1], 0.3), lerp(x[0], x[1], 1)};
              },
              "(torch.lerp({0}, {1}, 0.3), {1} + 0 * {0})");
          s.add(
              {s.uniform({0, 2}), s.uniform({2}), s.uniform({})},
              [](const Tensors& x) { return Tensors{lerp(x[0], x[1], x[2])}; },
              "torch.lerp({0}, {1}, {2})");
          s.bad(
              {s.uniform({2, 3}), s.uniform({4}), s.uniform({})},
              [](const Tensors& x) { return Tensors{lerp(x[0], x[1], x[2])}; }, "do not broadcast");
        },
};

Tensor lerp(In a, In b, In w) {
  auto [x, y] = unify_float(a, b);
  const Tensor t = unify_float(x, w).second;
  return make(op_lerp, {x, y, t});
}

}  // namespace nacre
