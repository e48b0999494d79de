#include "ops/op.h"

namespace nacre {

/// a * log(b), elementwise, with 0 * log(b) = 0 for every b but NaN: the terms of an entropy.
/// a, b: shapes that broadcast, floating (integers become f32).
API(Tensor xlogy(In a, In b))

OP(xlogy) = {
    .name = "xlogy",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check_float(0);
          infer_broadcast(in);
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor open = logical_and(gt(in[1], 0.0), lt(in[1], INFINITY));
      const Tensor zero = logical_and(eq(in[0], 0.0), logical_not(logical_or(open, isnan(in[1]))));
      return {in[0] * log(where(zero, 1.0, in[1]))};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({4}, 0.2, 3)},
              [](const Tensors& x) { return Tensors{xlogy(x[0], x[1])}; }, "torch.xlogy({0}, {1})");
          s.add(
              {s.uniform({3, 1}), s.uniform({}, 0.2, 3)},
              [](const Tensors& x) { return Tensors{xlogy(x[0], x[1])}; }, "torch.xlogy({0}, {1})");
          s.add(
              {s.uniform({2, 1}), s.uniform({0}, 0.2, 3)},
              [](const Tensors& x) { return Tensors{xlogy(x[0], x[1])}; }, "torch.xlogy({0}, {1})");
          s.add(
               {s.at({0, 0, 0, 0, 1, 1, NAN}), s.at({0, -1, NAN, INFINITY, 0, -1, 0})},
               [](const Tensors& x) { return Tensors{xlogy(x[0], x[1])}; }, "torch.xlogy({0}, {1})")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3}), s.uniform({4})},
              [](const Tensors& x) { return Tensors{xlogy(x[0], x[1])}; }, "do not broadcast");
        },
};

Tensor xlogy(In a, In b) { return make(op_xlogy, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
