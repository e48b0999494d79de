#include "ops/op.h"

namespace nacre {

/// x where mask is false, a value where it is true. mask: bool, broadcasts with x; value: a number
/// or a scalar tensor.
API(Tensor masked_fill(In x, In mask, In value))

OP(masked_fill) = {
    .name = "masked_fill",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.dtype(1) == DType::boolean,
                   {"the mask has type ", in.dtype(1), ", bool is needed"});
          in.check(in.dtype(2) == in.dtype(0),
                   {"the value has type ", in.dtype(2), ", x has ", in.dtype(0)});
          in.check_rank(2, 0);
          try {
            in.out(in.dtype(0), broadcast_shapes(in.shape(0), in.shape(1)));
          } catch (const Error& e) {
            in.fail({e.what()});
          }
        },
    .decompose = [](const void*, const Tensors& in) { return Tensors{where(in[1], in[2], in[0])}; },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.boolean({3, 4})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], -1.5)}; },
              "{0}.masked_fill({1}, -1.5)");
          s.add(
              {s.uniform({2, 3, 4}), s.boolean({3, 1}), s.uniform({})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], x[2])}; },
              "{0}.masked_fill({1}, {2})");
          s.add(
              {s.integers({0, 4}, 0, 9), s.boolean({4})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], 3)}; },
              "{0}.masked_fill({1}, 3)");
          s.bad(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], 0)}; },
              "bool is needed");
          s.bad(
              {s.uniform({3}), s.boolean({2})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], 0)}; },
              "do not broadcast");
          s.bad(
              {s.uniform({3}), s.boolean({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{masked_fill(x[0], x[1], x[2])}; },
              "rank 1, expected 0");
        },
};

Tensor masked_fill(In x, In mask, In value) {
  const auto [a, v] = unify(x, value);
  return make(op_masked_fill, {a, mask, v});
}

}  // namespace nacre
