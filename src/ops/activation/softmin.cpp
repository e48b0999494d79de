#include "ops/op.h"

namespace nacre {
/// Softmin along one dimension: softmax(-x).
/// x: any shape, floating.
API(Tensor softmin(In x, int64_t dim = -1))

OP(softmin) = {
    .name = "softmin",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      return {softmax(neg(in[0]), a.dim)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)}, [](const Tensors& x) { return Tensors{softmin(x[0])}; },
              "F.softmin({0}, -1)");
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{softmin(x[0], 1)}; }, "F.softmin({0}, 1)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{softmin(x[0])}; },
              "F.softmin({0}, -1)");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{softmin(x[0], 2)}; },
              "out of range");
        },
};

Tensor softmin(In x, int64_t dim) {
  return make(op_softmin, DimAttrs{normalize_dim(op_softmin, dim, x->rank())}, {x});
}

}  // namespace nacre
