#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
namespace {
/// x moved by `by` positions toward the front of a dimension, zeros at the end.
Tensor ahead(const Tensor& x, int64_t dim, int64_t by) {
  Ints low(x.shape().size(), 0), high = low;
  low[dim] = -by;
  high[dim] = by;
  return pad(x, low, high);
}
}  // namespace

/// Running product along one dimension, the element itself included.
/// x: any shape and type; bool and narrow integers are taken as i64.
API(Tensor cumprod(In x, int64_t dim))

OP(cumprod) = {
    .name = "cumprod",
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
                y[k] = y[k - a.inner] * x[k];
              else
                y[k] = static_cast<int64_t>(static_cast<uint64_t>(y[k - a.inner]) *
                                            static_cast<uint64_t>(x[k]));
            }
          });
        },
    .vjp =
        [](Vjp& v) {
          // dx_i = y_(i-1) r_i with r_i = dy_i + x_(i+1) r_(i+1): no division, so zeros are no
          // exception. The recurrence is solved by doubling.
          const int64_t dim = v.attrs<DimAttrs>().dim, n = v.x(0).size(dim);
          if (v.x(0).numel() == 0) return;
          Tensor factor = ahead(v.x(0), dim, 1), r = v.dy();
          for (int64_t step = 1; step < n; step *= 2) {
            r = r + factor * ahead(r, dim, step);
            if (2 * step < n) factor = factor * ahead(factor, dim, step);
          }
          Ints low(v.x(0).shape().size(), 0), high = low;
          low[dim] = 1;
          high[dim] = -1;
          v.dx(0) = pad(v.y(), low, high, "constant", 1.0) * r;
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{cumprod(x[0], 1)}; },
              "{0}.cumprod(1)");
          s.add(
              {s.uniform({3, 5})}, [](const Tensors& x) { return Tensors{cumprod(x[0], -1)}; },
              "{0}.cumprod(-1)");
          s.add(
              {s.uniform({7})}, [](const Tensors& x) { return Tensors{cumprod(x[0], 0)}; },
              "{0}.cumprod(0)");
          s.add(
              {s.at({2, 0, 3, 0.5, 0, -1, 2, 3}, {2, 4})},
              [](const Tensors& x) { return Tensors{cumprod(x[0], 1)}; }, "{0}.cumprod(1)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{cumprod(x[0], 0)}; },
              "{0}.cumprod(0)");
          s.add(
              {s.integers({3, 4}, -3, 4)},
              [](const Tensors& x) { return Tensors{cumprod(x[0], 0)}; }, "{0}.cumprod(0)");
          s.add(
              {s.boolean({5})}, [](const Tensors& x) { return Tensors{cumprod(x[0], 0)}; },
              "{0}.cumprod(0)");
          s.add(
               {s.at({1, NAN, 2, INFINITY, -INFINITY})},
               [](const Tensors& x) { return Tensors{cumprod(x[0], 0)}; }, "{0}.cumprod(0)")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{cumprod(x[0], 2)}; },
              "out of range");
        },
};

Tensor cumprod(In x, int64_t dim) {
  return make(op_cumprod, DimAttrs{normalize_dim(op_cumprod, dim, x->rank())}, {widened(x)});
}

}  // namespace nacre
