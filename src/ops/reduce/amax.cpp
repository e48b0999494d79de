#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// Largest element over dimensions; NaN if there is one. Equal largest elements share the gradient
/// equally. x: any shape and type, with at least one element for each result. dims: all if none are
/// given; keepdim leaves reduced dimensions with size 1.
API(Tensor amax(In x, const Ints& dims = {}, bool keepdim = false))

OP(amax) = {
    .name = "amax",
    .attrs = attr_type<ReduceAttrs>(),
    .infer = infer_reduce_nonempty,
    .ref =
        [](Ref& r) {
          r.typed([&](auto* x, auto* y) {
            std::vector<bool> seen(static_cast<size_t>(r.out().n));
            for_reduced(r, [&](int64_t i, int64_t o) {
              if (!seen[static_cast<size_t>(o)] || x[i] > y[o] || x[i] != x[i]) y[o] = x[i];
              seen[static_cast<size_t>(o)] = true;
            });
          });
        },
    .vjp = extremum_vjp,
    .onnx = "ReduceMax",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)}, [](const Tensors& x) { return Tensors{amax(x[0])}; },
              "torch.amax({0}, tuple(range({0}.dim())))");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{amax(x[0], {1})}; }, "torch.amax({0}, 1)");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{amax(x[0], {0, -1}, true)};
              },
              "torch.amax({0}, (0, 2), keepdim=True)");
          s.add(
              {s.uniform({}, -1, 1)}, [](const Tensors& x) { return Tensors{amax(x[0])}; },
              "torch.amax({0})");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{amax(x[0], {2})}; },
              "out of range");
          s.add(
               {s.at({1, 3, 3, NAN, 0, 2, -INFINITY, -INFINITY, -INFINITY}, {3, 3})},
               [](const Tensors& x) { return Tensors{amax(x[0], {1})}; }, "torch.amax({0}, 1)")
              .check_grad = false;
          s.add(
              {s.integers({3, 4}, -9, 9)},
              [](const Tensors& x) { return Tensors{amax(x[0], {0})}; }, "torch.amax({0}, 0)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{amax(x[0], {1})}; },
              "torch.amax({0}, 1)");
          s.bad(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{amax(x[0], {0})}; },
              "have no elements");
        },
};

Tensor amax(In x, const Ints& dims, bool keepdim) {
  return make(op_amax, ReduceAttrs{normalize_dims(op_amax, dims, x->rank()), keepdim}, {x});
}

}  // namespace nacre
