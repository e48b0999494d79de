#include <limits>

#include "ops/nn/pool.h"

namespace nacre {

/// How a pooling window moves.
API(struct PoolOptions {
  Ints stride = {};    ///< empty: the kernel's size
  Ints padding = {0};  ///< one entry, one for each dimension, or all lows, then all highs
  Ints dilation = {1};
  bool ceil_mode = false;   ///< a last partial window counts
  bool include_pad = true;  ///< averages: padding counts in the divisor
};)

/// Largest value of each window. x: NxCxL, kernel: one entry. Returns {values, indices}: NxCxL'
/// and, as i64, where in the input's plane each value was (the first of equal ones; NaN counts as
/// largest; -1 for a window of padding alone, whose value is -infinity).
API(Tensors max_pool1d(In x, const Ints& kernel, const PoolOptions& options = {}))
/// As max_pool1d with x: NxCxHxW; indices are those of the flattened HxW plane.
API(Tensors max_pool2d(In x, const Ints& kernel, const PoolOptions& options = {}))
/// As max_pool1d with x: NxCxDxHxW; indices are those of the flattened DxHxW volume.
API(Tensors max_pool3d(In x, const Ints& kernel, const PoolOptions& options = {}))

bool may_miss(const Shape& x, const Shape& y, const MaxPoolAttrs& a) {
  for (int64_t d = 0; d < a.kernel.rank(); ++d) {
    const int64_t size = x[2 + d], span = a.dilation[d] * (a.kernel[d] - 1);
    const int64_t last = (y[2 + d] - 1) * a.stride[d] - a.pad_low[d];
    const bool dense = a.dilation[d] <= size;  // taps cannot straddle the input
    if (!dense || span < a.pad_low[d] || last >= size) return true;
  }
  return false;
}

namespace {

Tensors max_pool(const char* op, int64_t rank, const Tensor& x, const Ints& kernel,
                 const PoolOptions& o);

}  // namespace

OP(max_pool) = {
    .name = "max_pool",
    .attrs = attr_type<MaxPoolAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape y = pooled_shape(in, in.attrs<MaxPoolAttrs>());
          in.out(in.dtype(0), y);
          in.out(DType::i64, y);
        },
    .ref =
        [](Ref& r) {
          const Shape in = spatial_of(r.in().shape), out = spatial_of(r.out().shape);
          const int64_t planes = r.in().shape[0] * r.in().shape[1];
          std::fill_n(r.out(0).d, r.out(0).n, -std::numeric_limits<double>::infinity());
          std::fill_n(r.out(1).i, r.out(1).n, int64_t{-1});
          for (int64_t p = 0; p < planes; ++p) {
            const double* x = r.in().d + p * in.numel();
            double* best = r.out(0).d + p * out.numel();
            int64_t* at = r.out(1).i + p * out.numel();
            for_taps(in, out, window_of(r.attrs<MaxPoolAttrs>()),
                     [&](int64_t o, int64_t, int64_t i) {
                       const bool first_nan = std::isnan(x[i]) && !std::isnan(best[o]);
                       if (at[o] >= 0 && !(x[i] > best[o]) && !first_nan) return;
                       best[o] = x[i];
                       at[o] = i;
                     });
          }
        },
    .vjp =
        [](Vjp& v) {
          if (!v.has_dy(0)) return;
          const Shape &x = v.x(0).shape(), &y = v.y().shape();
          Tensor at = reshape(v.y(1), {y[0], y[1], spatial_of(y).numel()});
          Tensor dy = reshape(v.dy(), at.shape());
          if (may_miss(x, y, v.attrs<MaxPoolAttrs>())) {
            dy = where(at < 0, 0.0, dy);
            at = maximum(at, 0);
          }
          const Tensor flat = zeros({x[0], x[1], spatial_of(x).numel()}, dy.dtype());
          v.dx(0) = reshape(scatter(flat, 2, at, dy, "add"), x);
        },
    .onnx = "MaxPool",
    .samples =
        [](Samples& s) {
          const auto two = [](Ints kernel, PoolOptions o) {
            return [kernel, o](const Tensors& x) { return max_pool2d(x[0], kernel, o); };
          };
          s.add({s.uniform({2, 3, 6, 5})}, two({2}, {}),
                "F.max_pool2d({0}, 2, return_indices=True)");
          s.add({s.uniform({1, 2, 7, 8})},
                two({3, 2}, {.stride = {2, 1}, .padding = {1}, .dilation = {1, 2}}),
                "F.max_pool2d({0}, (3, 2), (2, 1), 1, (1, 2), return_indices=True)");
          s.add({s.uniform({1, 2, 6, 7})}, two({3}, {.stride = {2}, .ceil_mode = true}),
                "F.max_pool2d({0}, 3, 2, ceil_mode=True, return_indices=True)");
          s.add({s.uniform({1, 1, 2, 4})}, two({3}, {.stride = {2}, .ceil_mode = true}),
                "F.max_pool2d({0}, 3, 2, ceil_mode=True, return_indices=True)");
          s.add({s.uniform({2, 2, 3, 3})}, two({1}, {}),
                "F.max_pool2d({0}, 1, return_indices=True)");
          s.add({s.uniform({0, 2, 4, 4})}, two({2}, {}),
                "F.max_pool2d({0}, 2, return_indices=True)");
          s.add({s.at({1, 1, NAN, 0, 2, NAN}, {1, 1, 1, 6})}, two({1, 3}, {}),
                "F.max_pool2d({0}, (1, 3), return_indices=True)")
              .check_grad = false;
          auto& missing =
              s.add({s.uniform({1, 1, 4, 4})}, two({2}, {.stride = {2}, .padding = {0, 0, 3, 3}}));
          missing.oracle = "the reference: windows of padding alone give -infinity and index -1";
          missing.check_grad = false;
          s.add(
              {s.uniform({1, 2, 3, 4})},
              [](const Tensors& x) {
                const Tensor y = max_pool2d(x[0], {2}, {.stride = {2}, .padding = {2}})[0];
                return Tensors{maximum(y, -9.0)};
              },
              "torch.clamp(F.max_pool2d(F.pad({0}, (2, 2, 2, 2), value=-math.inf), 2), min=-9)");
          s.add(
              {s.uniform({2, 2, 9})},
              [](const Tensors& x) {
                return max_pool1d(x[0], {3}, {.stride = {2}, .padding = {1}});
              },
              "F.max_pool1d({0}, 3, 2, 1, return_indices=True)");
          s.add(
              {s.uniform({1, 2, 4, 4, 5})},
              [](const Tensors& x) {
                return max_pool3d(x[0], {2, 2, 3}, {.stride = {2, 1, 2}});
              },
              "F.max_pool3d({0}, (2, 2, 3), (2, 1, 2), return_indices=True)");
          s.bad({s.uniform({2, 6, 5})}, two({2}, {}), "[max_pool2d] input has rank 3");
          s.bad({s.uniform({1, 2, 6, 5})}, two({0}, {}), "kernel");
          s.bad({s.uniform({1, 2, 6, 5})}, two({7}, {}), "larger than the padded input of 6");
          s.bad({s.uniform({1, 2, 6, 5})}, two({2, 2, 2}, {}), "kernel [2, 2, 2] has 3 entries");
          s.bad({s.integers({1, 2, 6, 5}, 0, 9)}, two({2}, {}), "a floating type is needed");
        },
};

Tensors max_pool(const Tensor& x, const MaxPoolAttrs& a) { return make_all(op_max_pool, a, {x}); }

void check_pool_input(const char* op, const Tensor& x, int64_t rank) {
  if (x.rank() != rank + 2)
    fail(Error::Kind::shape, {"[", op, "] input has rank ", x.rank(), ", ", rank + 2,
                              " is needed (input ", x.shape(), ")", where()});
}

namespace {

Tensors max_pool(const char* op, int64_t rank, const Tensor& x, const Ints& kernel,
                 const PoolOptions& o) {
  check_pool_input(op, x, rank);
  const SlidingWindow w =
      resolve_window(op, spatial_of(x.shape()), kernel, o.stride.empty() ? kernel : o.stride,
                     o.padding, o.dilation, false, o.ceil_mode);
  return make_all(op_max_pool, MaxPoolAttrs{w.kernel, w.stride, w.dilation, w.pad_low, w.pad_high},
                  {x});
}

}  // namespace

Tensors max_pool1d(In x, const Ints& kernel, const PoolOptions& options) {
  return max_pool("max_pool1d", 1, x, kernel, options);
}
Tensors max_pool2d(In x, const Ints& kernel, const PoolOptions& options) {
  return max_pool("max_pool2d", 2, x, kernel, options);
}
Tensors max_pool3d(In x, const Ints& kernel, const PoolOptions& options) {
  return max_pool("max_pool3d", 3, x, kernel, options);
}

}  // namespace nacre
