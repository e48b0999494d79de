#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// Number of elements that are not zero over dimensions (NaN counts).
/// x: any shape and type. Returns i64. dims: all if none are given; keepdim leaves reduced
/// dimensions with size 1.
API(Tensor count_nonzero(In x, const Ints& dims = {}, bool keepdim = false))

OP(count_nonzero) = {
    .name = "count_nonzero",
    .kind = OpKind::composite,
    .attrs = attr_type<ReduceAttrs>(),
    .infer =
        [](Infer& in) { in.out(DType::i64, reduced_shape(in.shape(0), in.attrs<ReduceAttrs>())); },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& r = *static_cast<const ReduceAttrs*>(attrs);
      return {sum(cast(in[0], DType::boolean), r.dims, r.keepdim)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.integers({2, 3, 4}, -1, 2)},
              [](const Tensors& x) { return Tensors{count_nonzero(x[0])}; },
              "torch.count_nonzero({0})");
          s.add(
              {s.integers({2, 3, 4}, -1, 2)},
              [](const Tensors& x) { return Tensors{count_nonzero(x[0], {1})}; },
              "torch.count_nonzero({0}, 1)");
          s.add(
              {s.at({0, -0.0, NAN, 1, INFINITY, 0}, {2, 3})},
              [](const Tensors& x) { return Tensors{count_nonzero(x[0], {0}, true)}; },
              "torch.count_nonzero({0}, 0).unsqueeze(0)");
          s.add(
              {s.uniform({0, 3})},
              [](const Tensors& x) { return Tensors{count_nonzero(x[0], {0})}; },
              "torch.count_nonzero({0}, 0)");
          s.add(
              {s.boolean({})}, [](const Tensors& x) { return Tensors{count_nonzero(x[0])}; },
              "torch.count_nonzero({0})");
          s.bad(
              {s.uniform({2})}, [](const Tensors& x) { return Tensors{count_nonzero(x[0], {1})}; },
              "out of range");
        },
};

Tensor count_nonzero(In x, const Ints& dims, bool keepdim) {
  return make(op_count_nonzero,
              ReduceAttrs{normalize_dims(op_count_nonzero, dims, x->rank()), keepdim}, {x});
}

}  // namespace nacre
