#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// Mean over dimensions. x: any shape, floating (integers become f32).
/// dims: all if none are given; keepdim leaves reduced dimensions with size 1.
/// The mean of nothing is NaN.
API(Tensor mean(In x, const Ints& dims = {}, bool keepdim = false))

OP(mean) = {
    .name = "mean",
    .attrs = attr_type<ReduceAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          infer_reduce(in);
        },
    .ref =
        [](Ref& r) {
          const double n = reduced_count(r.in().shape, r.attrs<ReduceAttrs>());
          for_reduced(r, [&](int64_t i, int64_t o) { r.out().d[o] += r.in().d[i]; });
          for (int64_t k = 0; k < r.out().n; ++k) r.out().d[k] /= n;
        },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<ReduceAttrs>();
          v.dx(0) = expand_reduced(v.dy() / reduced_count(v.x(0).shape(), a), v.x(0).shape(), a);
        },
    .onnx = "ReduceMean",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)}, [](const Tensors& x) { return Tensors{mean(x[0])}; },
              "{0}.mean(tuple(range({0}.dim())))");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{mean(x[0], {1})}; }, "{0}.mean(1)");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{mean(x[0], {0, -1}, true)};
              },
              "{0}.mean((0, 2), keepdim=True)");
          s.add(
              {s.uniform({}, -1, 1)}, [](const Tensors& x) { return Tensors{mean(x[0])}; },
              "{0}.mean(())");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{mean(x[0], {2})}; },
              "out of range");
          s.add(
               {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{mean(x[0], {0})}; },
               "{0}.mean(0)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{mean(x[0], {1})}; },
              "{0}.mean(1)");
          s.add(
              {s.integers({3, 4}, -9, 9)},
              [](const Tensors& x) { return Tensors{mean(x[0], {0})}; }, "{0}.float().mean(0)");
        },
};

Tensor mean(In x, const Ints& dims, bool keepdim) {
  return make(op_mean, ReduceAttrs{normalize_dims(op_mean, dims, x->rank()), keepdim},
              {as_float(x)});
}

}  // namespace nacre
