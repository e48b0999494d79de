#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
/// Running sum along one dimension, the element itself included.
/// x: any shape and type; bool and narrow integers are taken as i64.
API(Tensor cumsum(In x, int64_t dim))

OP(cumsum) = {
    .name = "cumsum",
    .attrs = attr_type<DimAttrs>(),
    .infer = infer_same<0>,
    .ref =
        [](Ref& r) {
          const Around a = around(r.in().shape, r.attrs<DimAttrs>().dim);
          r.typed([&](auto* x, auto* y) {
            for (int64_t k = 0; k < r.out().n; ++k) {
              const bool first = k / a.inner % a.size == 0;
              if (first)
                y[k] = x[k];
              else if constexpr (std::is_same_v<decltype(y), double*>)
                y[k] = y[k - a.inner] + x[k];
              else
                y[k] = static_cast<int64_t>(static_cast<uint64_t>(y[k - a.inner]) +
                                            static_cast<uint64_t>(x[k]));
            }
          });
        },
    .vjp =
        [](Vjp& v) {
          const int64_t dim = v.attrs<DimAttrs>().dim;
          v.dx(0) = flip(cumsum(flip(v.dy(), {dim}), dim), {dim});
        },
    .onnx = "CumSum",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{cumsum(x[0], 1)}; },
              "{0}.cumsum(1)");
          s.add(
              {s.uniform({3, 5})}, [](const Tensors& x) { return Tensors{cumsum(x[0], -1)}; },
              "{0}.cumsum(-1)");
          s.add(
              {s.uniform({7})}, [](const Tensors& x) { return Tensors{cumsum(x[0], 0)}; },
              "{0}.cumsum(0)");
          s.add(
              {s.at({2, 0, 3, 0.5, 0, -1, 2, 3}, {2, 4})},
              [](const Tensors& x) { return Tensors{cumsum(x[0], 1)}; }, "{0}.cumsum(1)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{cumsum(x[0], 0)}; },
              "{0}.cumsum(0)");
          s.add(
              {s.integers({3, 4}, -3, 4)},
              [](const Tensors& x) { return Tensors{cumsum(x[0], 0)}; }, "{0}.cumsum(0)");
          s.add(
              {s.boolean({5})}, [](const Tensors& x) { return Tensors{cumsum(x[0], 0)}; },
              "{0}.cumsum(0)");
          s.add(
               {s.at({1, NAN, 2, INFINITY, -INFINITY})},
               [](const Tensors& x) { return Tensors{cumsum(x[0], 0)}; }, "{0}.cumsum(0)")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{cumsum(x[0], 2)}; },
              "out of range");
        },
};

Tensor cumsum(In x, int64_t dim) {
  return make(op_cumsum, DimAttrs{normalize_dim(op_cumsum, dim, x->rank())}, {widened(x)});
}

}  // namespace nacre
