#include "ops/nn/pool.h"

namespace nacre {

/// Mean of each window. x: NxCxL, kernel: one entry. Padding counts as zeros, and in the divisor
/// unless include_pad is false. Returns NxCxL'.
API(Tensor avg_pool1d(In x, const Ints& kernel, const PoolOptions& options = {}))
/// As avg_pool1d with x: NxCxHxW.
API(Tensor avg_pool2d(In x, const Ints& kernel, const PoolOptions& options = {}))
/// As avg_pool1d with x: NxCxDxHxW.
API(Tensor avg_pool3d(In x, const Ints& kernel, const PoolOptions& options = {}))

namespace {

/// The divisor of each output.
std::vector<double> divisors(const Shape& in, const Shape& out, const AvgPoolAttrs& a) {
  std::vector<double> n(static_cast<size_t>(out.numel()));
  for_taps(in, out, window_of(a),
           [&](int64_t o, int64_t, int64_t) { n[static_cast<size_t>(o)] += 1; });
  for (double& v : n) v = a.include_pad ? static_cast<double>(a.kernel.numel()) : std::max(v, 1.0);
  return n;
}

AvgPoolAttrs with_window(const SlidingWindow& w, bool include_pad) {
  AvgPoolAttrs a;
  static_cast<MaxPoolAttrs&>(a) = {w.kernel, w.stride, w.dilation, w.pad_low, w.pad_high};
  a.include_pad = include_pad;
  return a;
}

}  // namespace

OP(avg_pool) = {
    .name = "avg_pool",
    .attrs = attr_type<AvgPoolAttrs>(),
    .infer = [](Infer& in) { in.out(in.dtype(0), pooled_shape(in, in.attrs<AvgPoolAttrs>())); },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<AvgPoolAttrs>();
          const Shape in = spatial_of(r.in().shape), out = spatial_of(r.out().shape);
          const std::vector<double> n = divisors(in, out, a);
          for (int64_t p = 0; p < r.in().shape[0] * r.in().shape[1]; ++p) {
            const double* x = r.in().d + p * in.numel();
            double* y = r.out().d + p * out.numel();
            for_taps(in, out, window_of(a), [&](int64_t o, int64_t, int64_t i) {
              y[o] += x[i] / n[static_cast<size_t>(o)];
            });
          }
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = avg_pool_grad(v.dy(), v.attrs<AvgPoolAttrs>(), spatial_of(v.x(0).shape()));
        },
    .onnx = "AveragePool",
    .samples =
        [](Samples& s) {
          const auto two = [](Ints kernel, PoolOptions o) {
            return [kernel, o](const Tensors& x) { return Tensors{avg_pool2d(x[0], kernel, o)}; };
          };
          s.add({s.uniform({2, 3, 6, 5})}, two({2}, {}), "F.avg_pool2d({0}, 2)");
          s.add({s.uniform({1, 2, 7, 8})}, two({3, 2}, {.stride = {2, 1}, .padding = {1}}),
                "F.avg_pool2d({0}, (3, 2), (2, 1), 1)");
          s.add({s.uniform({1, 2, 7, 8})},
                two({3}, {.stride = {2}, .padding = {1}, .include_pad = false}),
                "F.avg_pool2d({0}, 3, 2, 1, count_include_pad=False)");
          s.add({s.uniform({1, 2, 6, 7})},
                two({3}, {.stride = {2}, .padding = {1}, .ceil_mode = true}),
                "F.avg_pool2d({0}, 3, 2, 1, ceil_mode=True)");
          s.add({s.uniform({1, 2, 6, 7})},
                two({3}, {.stride = {2}, .ceil_mode = true, .include_pad = false}),
                "F.avg_pool2d({0}, 3, 2, ceil_mode=True, count_include_pad=False)");
          s.add({s.uniform({1, 1, 2, 4})}, two({3}, {.stride = {2}, .ceil_mode = true}),
                "F.avg_pool2d({0}, 3, 2, ceil_mode=True)");
          s.add({s.uniform({2, 2, 3, 3})}, two({1}, {}), "F.avg_pool2d({0}, 1)");
          s.add({s.uniform({0, 2, 4, 4})}, two({2}, {}), "F.avg_pool2d({0}, 2)");
          s.add({s.uniform({1, 1, 4, 5})}, two({2}, {.stride = {1}, .padding = {0, 1, 1, 0}}),
                "F.avg_pool2d(F.pad({0}, (1, 0, 0, 1)), 2, 1)");
          s.add({s.uniform({1, 1, 7, 5})}, two({3, 2}, {.stride = {1}, .dilation = {2, 1}}))
              .oracle = "the reference: PyTorch has no dilated average";
          s.add(
              {s.uniform({2, 2, 9})},
              [](const Tensors& x) {
                return Tensors{avg_pool1d(x[0], {3}, {.stride = {2}, .padding = {1}})};
              },
              "F.avg_pool1d({0}, 3, 2, 1)");
          s.add(
              {s.uniform({1, 2, 4, 4, 5})},
              [](const Tensors& x) {
                return Tensors{avg_pool3d(x[0], {2, 2, 3}, {.stride = {2, 1, 2}})};
              },
              "F.avg_pool3d({0}, (2, 2, 3), (2, 1, 2))");
          s.bad({s.uniform({2, 6, 5})}, two({2}, {}), "[avg_pool2d] input has rank 3");
          s.bad({s.uniform({1, 2, 6, 5})}, two({2}, {.stride = {0}}), "stride");
          s.bad({s.uniform({1, 2, 6, 5})}, two({7}, {}), "larger than the padded input of 6");
          s.bad({s.integers({1, 2, 6, 5}, 0, 9)}, two({2}, {}), "a floating type is needed");
        },
};

/// Gradient of avg_pool with respect to its input, which had spatial size input_size: spreads dy.
OP(avg_pool_grad) = {
    .name = "avg_pool_grad",
    .attrs = attr_type<AvgPoolGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<AvgPoolGradAttrs>();
          const Shape& dy = in.shape(0);
          in.check_float(0);
          in.check(in.rank(0) >= 3 && a.input_size.rank() == in.rank(0) - 2,
                   {"input_size ", as_list(a.input_size), " needs ", in.rank(0) - 2, " entries"});
          const Shape out = windowed_shape(in, a.input_size, window_of(a));
          in.check(out == spatial_of(dy), {"the pool gives ", out, ", not ", spatial_of(dy)});
          in.out(in.dtype(0), with_spatial(dy[0], dy[1], a.input_size));
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<AvgPoolGradAttrs>();
          const Shape in = spatial_of(r.out().shape), out = spatial_of(r.in().shape);
          const std::vector<double> n = divisors(in, out, a);
          for (int64_t p = 0; p < r.in().shape[0] * r.in().shape[1]; ++p) {
            const double* dy = r.in().d + p * out.numel();
            double* dx = r.out().d + p * in.numel();
            for_taps(in, out, window_of(a), [&](int64_t o, int64_t, int64_t i) {
              dx[i] += dy[o] / n[static_cast<size_t>(o)];
            });
          }
        },
    .vjp = [](Vjp& v) { v.dx(0) = avg_pool(v.dy(), v.attrs<AvgPoolGradAttrs>()); },
    .samples =
        [](Samples& s) {
          const auto call = [](SlidingWindow w, bool include_pad, Ints size) {
            return [w, include_pad, size](const Tensors& x) {
              return Tensors{avg_pool_grad(x[0], with_window(w, include_pad), size)};
            };
          };
          s.add({s.uniform({2, 3, 2, 3})},
                call({{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}}, true, {4, 6}),
                "F.interpolate({0}, scale_factor=2, mode='nearest') / 4");
          s.add({s.uniform({1, 1, 4})}, call({{3}, {2}, {1}, {1}, {1}}, false, {7})).oracle =
              "the adjoint of avg_pool, by gradient checks of both";
          s.add({s.uniform({0, 1, 4})}, call({{3}, {2}, {1}, {1}, {1}}, true, {7}),
                "torch.zeros(0, 1, 7)");
          s.bad({s.uniform({1, 1, 4})}, call({{3}, {2}, {1}, {1}, {1}}, true, {9}),
                "the pool gives 5, not 4");
          s.bad({s.uniform({1, 1, 4})}, call({{3}, {2}, {1}, {1}, {1}}, true, {7, 7}),
                "input_size [7, 7] needs 1 entries");
        },
};

Tensor avg_pool(const Tensor& x, const AvgPoolAttrs& a) { return make(op_avg_pool, a, {x}); }

Tensor avg_pool_grad(const Tensor& dy, const AvgPoolAttrs& a, const Ints& input_size) {
  AvgPoolGradAttrs g;
  static_cast<AvgPoolAttrs&>(g) = a;
  g.input_size = input_size;
  return make(op_avg_pool_grad, g, {dy});
}

namespace {

Tensor averaged(const char* op, int64_t rank, const Tensor& x, const Ints& kernel,
                const PoolOptions& o) {
  check_pool_input(op, x, rank);
  const Shape spatial = spatial_of(x.shape());
  const Ints& stride = o.stride.empty() ? kernel : o.stride;
  const SlidingWindow plain =
      resolve_window(op, spatial, kernel, stride, o.padding, o.dilation, false, false);
  if (!o.ceil_mode) return avg_pool(x, with_window(plain, o.include_pad));
  const SlidingWindow w =
      resolve_window(op, spatial, kernel, stride, o.padding, o.dilation, false, true);
  if (!o.include_pad || w.pad_high == plain.pad_high)
    return avg_pool(x, with_window(w, o.include_pad));
  // The user's padding counts in the divisor, what ceil_mode adds to it does not.
  Ints low = {0, 0}, high = {0, 0};
  SlidingWindow rest = w;
  for (int64_t d = 0; d < rank; ++d) {
    low.push_back(plain.pad_low[d]);
    high.push_back(plain.pad_high[d]);
    rest.pad_low[d] = 0;
    rest.pad_high[d] = std::max<int64_t>(0, w.pad_high[d] - plain.pad_high[d]);
  }
  return avg_pool(pad(x, low, high), with_window(rest, false));
}

}  // namespace

Tensor avg_pool1d(In x, const Ints& kernel, const PoolOptions& options) {
  return averaged("avg_pool1d", 1, x, kernel, options);
}
Tensor avg_pool2d(In x, const Ints& kernel, const PoolOptions& options) {
  return averaged("avg_pool2d", 2, x, kernel, options);
}
Tensor avg_pool3d(In x, const Ints& kernel, const PoolOptions& options) {
  return averaged("avg_pool3d", 3, x, kernel, options);
}

}  // namespace nacre
