#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// True where at least one element over dimensions is true; false for none.
/// x: any shape and type (true is != 0). Returns bool. dims: all if none are given; keepdim leaves
/// reduced dimensions with size 1.
API(Tensor any(In x, const Ints& dims = {}, bool keepdim = false))

OP(any) = {
    .name = "any",
    .attrs = attr_type<ReduceAttrs>(),
    .infer =
        [](Infer& in) {
          in.check(in.dtype(0) == DType::boolean, {"the input has to be bool"});
          infer_reduce(in);
        },
    .ref =
        [](Ref& r) {
          std::fill(r.out().i, r.out().i + r.out().n, 0);
          for_reduced(r, [&](int64_t i, int64_t o) { r.out().i[o] |= r.in().i[i]; });
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.boolean({2, 3, 4})}, [](const Tensors& x) { return Tensors{any(x[0])}; },
              "torch.any({0})");
          s.add(
              {s.boolean({2, 3, 4})}, [](const Tensors& x) { return Tensors{any(x[0], {1})}; },
              "torch.any({0}, 1)");
          s.add(
              {s.integers({2, 3, 2}, 0, 2)},
              [](const Tensors& x) {
                return Tensors{any(x[0], {0, 2}, true)};
              },
              "{0}.bool().any(0, keepdim=True).any(2, keepdim=True)");
          s.add(
              {s.at({0, NAN, 0, 0, -0.0, 1}, {3, 2})},
              [](const Tensors& x) { return Tensors{any(x[0], {1})}; }, "torch.any({0}.bool(), 1)");
          s.add(
              {s.boolean({0, 3})}, [](const Tensors& x) { return Tensors{any(x[0], {0})}; },
              "torch.any({0}, 0)");
          s.add(
              {s.boolean({})}, [](const Tensors& x) { return Tensors{any(x[0])}; },
              "torch.any({0})");
          s.bad(
              {s.boolean({2})}, [](const Tensors& x) { return Tensors{any(x[0], {1})}; },
              "out of range");
        },
};

Tensor any(In x, const Ints& dims, bool keepdim) {
  return make(op_any, ReduceAttrs{normalize_dims(op_any, dims, x->rank()), keepdim},
              {cast(x, DType::boolean)});
}

}  // namespace nacre
