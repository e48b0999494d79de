#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// Sum over dimensions (all if none are given).
/// x: any shape and type; bool and narrow integers are summed as i64. keepdim leaves reduced
/// dimensions with size 1.
API(Tensor sum(In x, const Ints& dims = {}, bool keepdim = false))

OP(sum) = {
    .name = "sum",
    .attrs = attr_type<ReduceAttrs>(),
    .infer = infer_reduce,
    .ref =
        [](Ref& r) {
          r.typed([&](auto* x, auto* y) {
            for_reduced(r, [&](int64_t i, int64_t o) { y[o] += x[i]; });
          });
        },
    .vjp = [](Vjp& v) { v.dx(0) = expand_reduced(v.dy(), v.x(0).shape(), v.attrs<ReduceAttrs>()); },
    .onnx = "ReduceSum",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{sum(x[0])}; },
              "{0}.sum()");
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{sum(x[0], {1})}; },
              "{0}.sum(1)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{sum(x[0], {0, -1}, true)};
              },
              "{0}.sum((0, 2), keepdim=True)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{sum(x[0], {0})}; },
              "{0}.sum(0)");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{sum(x[0])}; }, "{0}.sum()");
          s.add(
              {s.boolean({3, 4})}, [](const Tensors& x) { return Tensors{sum(x[0], {0})}; },
              "{0}.sum(0)");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{sum(x[0], {2})}; },
              "out of range");
        },
};

Tensor sum(In x, const Ints& dims, bool keepdim) {
  return make(op_sum, ReduceAttrs{normalize_dims(op_sum, dims, x->rank()), keepdim}, {widened(x)});
}

}  // namespace nacre
