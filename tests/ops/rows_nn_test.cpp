// What the project promises of convolution, pooling, attention and normalisation, against plain
// loops and formulas.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "nacre/autograd.h"
#include "nacre/gradient_check.h"
#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor random_floats(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
  Rng rng{Key(seed)};
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = static_cast<float>(rng.uniform(low, high));
  return Tensor::from(v, shape);
}

double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  if (a.shape() != b.shape()) return kInfinity;
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - y[i]);
    most = d <= most ? most : d;  // a NaN stays
  }
  return most;
}

Tensors in_f64(const Tensors& list) {
  Tensors out;
  for (const Tensor& t : list) out.push_back(Tensor::from(t.to_vector<double>(), t.shape()));
  return out;
}

/// A convolution by its definition.
Tensor naive_conv(const Tensor& x, const Tensor& w, int64_t stride, int64_t pad, int64_t dilation) {
  const auto xv = x.to_vector<double>(), wv = w.to_vector<double>();
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), wide = x.size(3);
  const int64_t k = w.size(2), outs = w.size(0);
  const auto length = [&](int64_t size) {
    return (size + 2 * pad - dilation * (k - 1) - 1) / stride + 1;
  };
  const int64_t oh = length(h), ow = length(wide);
  std::vector<float> y;
  for (int64_t b = 0; b < n; ++b)
    for (int64_t o = 0; o < outs; ++o)
      for (int64_t i = 0; i < oh; ++i)
        for (int64_t j = 0; j < ow; ++j) {
          double sum = 0;
          for (int64_t ch = 0; ch < c; ++ch)
            for (int64_t u = 0; u < k; ++u)
              for (int64_t v = 0; v < k; ++v) {
                const int64_t r = i * stride - pad + u * dilation;
                const int64_t s = j * stride - pad + v * dilation;
                if (r < 0 || r >= h || s < 0 || s >= wide) continue;
                sum += xv[static_cast<size_t>(((b * c + ch) * h + r) * wide + s)] *
                       wv[static_cast<size_t>(((o * c + ch) * k + u) * k + v)];
              }
          y.push_back(static_cast<float>(sum));
        }
  return Tensor::from(y, {n, outs, oh, ow});
}

TEST(RowConvolution, TheExampleOfTheCourse) {
  const Tensor x = Tensor::from<float>(
      {3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1}, {1, 1, 5, 5});
  const Tensor w = Tensor::from<float>({0, 1, 2, 2, 2, 0, 0, 1, 2}, {1, 1, 3, 3});
  EXPECT_EQ(conv2d(x, w).to_vector<float>(),
            (std::vector<float>{12, 12, 17, 10, 17, 19, 9, 6, 14}));
}

TEST(RowConvolution, ColumnsTimesWeightsGiveTheSame) {
  const Tensor x = random_floats({2, 3, 9, 8}, 1), w = random_floats({5, 3, 3, 3}, 2);
  const Tensor columns = unfold(x, {3, 3}, {1}, {1});
  const Tensor y = matmul(reshape(w, {5, 27}), columns);
  EXPECT_LE(distance(conv2d(x, w, {}, {.padding = {1}}), reshape(y, {2, 5, 9, 8})), 1e-4);
}

/// The same by the convolution theorem: products of spectra, of images padded to the full size.
TEST(RowConvolution, ProductsOfSpectraGiveTheSame) {
  const Tensor x = random_floats({2, 3, 9, 8}, 1), w = random_floats({5, 3, 3, 3}, 2);
  const auto spectrum = [](const Tensor& t) {  // [..., 11, 10, 2] of [..., h, w]
    const Tensor whole = pad(t, {0, 0, 0, 0}, {0, 0, 11 - t.size(2), 10 - t.size(3)});
    return fft2(stack({whole, zeros_like(whole)}, 4));
  };
  const auto part = [](const Tensor& t, int64_t k) { return select(t, -1, k); };
  const Tensor a = unsqueeze(spectrum(x), 1), b = unsqueeze(spectrum(flip(w, {2, 3})), 0);
  const Tensor re = sum(part(a, 0) * part(b, 0) - part(a, 1) * part(b, 1), {2});
  const Tensor im = sum(part(a, 0) * part(b, 1) + part(a, 1) * part(b, 0), {2});
  const Tensor full_size = part(ifft2(stack({re, im}, 4)), 0);
  const Tensor inside = narrow(narrow(full_size, 2, 2, 7), 3, 2, 6);
  EXPECT_LE(distance(conv2d(x, w), inside), 1e-4);
}

/// The same with 16 instead of 36 products for each 2x2 outputs (Lavin and Gray, 2016: F(2x2,
/// 3x3)).
TEST(RowConvolution, WinogradsTilesGiveTheSame) {
  const Tensor x = random_floats({2, 3, 10, 8}, 1), w = random_floats({5, 3, 3, 3}, 2);
  const Tensor bt =
      Tensor::from<float>({1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1}, {4, 4});
  const Tensor g = Tensor::from<float>({1, 0, 0, .5, .5, .5, .5, -.5, .5, 0, 0, 1}, {4, 3});
  const Tensor at = Tensor::from<float>({1, 1, 1, 0, 0, 1, -1, -1}, {2, 4});
  const auto both = [](const Tensor& m, const Tensor& t) {
    return matmul(matmul(m, t), transpose(m));
  };
  const Tensor u = both(g, w);  // [5, 3, 4, 4]
  const Tensor y = conv2d(x, w);
  for (int64_t i = 0; i < 8; i += 2)
    for (int64_t j = 0; j < 6; j += 2) {
      const Tensor v = both(bt, narrow(narrow(x, 2, i, 4), 3, j, 4));
      const Tensor tile = both(at, sum(unsqueeze(u, 0) * unsqueeze(v, 1), {2}));
      EXPECT_LE(distance(narrow(narrow(y, 2, i, 2), 3, j, 2), tile), 1e-4);
    }
}

TEST(RowConvolution, GradientsAreRight) {
  const Tensors at = in_f64(
      {random_floats({2, 2, 5, 4}, 3), random_floats({4, 1, 3, 2}, 4), random_floats({4}, 5)});
  const auto f = [](const Tensors& x) {
    const Tensor y =
        conv2d(x[0], x[1], x[2], {.stride = {2, 1}, .padding = {1, 0, 2, 1}, .groups = 2});
    return sum(square(y));
  };
  EXPECT_LE(gradient_error(f, at), 1e-5);
}

TEST(RowStridePadding, AllKernelsStridesPaddingsAndDilations) {
  const Tensor x = random_floats({1, 2, 13, 12}, 6);
  int done = 0;
  for (int64_t k = 1; k <= 7; ++k) {
    const Tensor w = random_floats({2, 2, k, k}, static_cast<uint64_t>(10 + k), -0.3, 0.3);
    for (int64_t stride = 1; stride <= 3; ++stride)
      for (int64_t pad = 0; pad <= 3; ++pad)
        for (int64_t dilation = 1; dilation <= 3; ++dilation) {
          const ConvOptions o = {.stride = {stride}, .padding = {pad}, .dilation = {dilation}};
          if (12 + 2 * pad < dilation * (k - 1) + 1) {
            EXPECT_THROW(conv2d(x, w, {}, o), Error);
            continue;
          }
          EXPECT_LE(distance(conv2d(x, w, {}, o), naive_conv(x, w, stride, pad, dilation)), 1e-5)
              << "kernel " << k << " stride " << stride << " padding " << pad << " dilation "
              << dilation;
          ++done;
        }
  }
  EXPECT_GE(done, 200);
}

TEST(RowDilatedConvolution, EqualsAKernelStuffedWithZeros) {
  const Tensor x = random_floats({2, 3, 12, 11}, 20),
               w = random_floats({4, 3, 3, 3}, 21, -0.3, 0.3);
  for (int64_t rate = 1; rate <= 4; ++rate) {
    const int64_t size = 2 * rate + 1;
    const auto wv = w.to_vector<float>();
    std::vector<float> stuffed(static_cast<size_t>(12 * size * size));
    for (int64_t p = 0; p < 12; ++p)
      for (int64_t i = 0; i < 9; ++i)
        stuffed[static_cast<size_t>((p * size + i / 3 * rate) * size + i % 3 * rate)] =
            wv[static_cast<size_t>(p * 9 + i)];
    EXPECT_LE(distance(conv2d(x, w, {}, {.dilation = {rate}}),
                       conv2d(x, Tensor::from(stuffed, {4, 3, size, size}))),
              1e-6);
  }
}

TEST(RowDilatedConvolution, ThreeLayersSeeFifteenByFifteen) {
  const Tensor x = random_floats({1, 1, 31, 31}, 22), w = ones({1, 1, 3, 3});
  Tensor y = x;
  for (int64_t rate : {1, 2, 4}) y = conv2d(y, w, {}, {.dilation = {rate}, .same = true});
  const Tensor centre = narrow(narrow(y, 2, 15, 1), 3, 15, 1);
  const auto g = grad(sum(centre), {x})[0].to_vector<float>();
  int64_t low = 31, high = -1, seen = 0;
  for (int64_t i = 0; i < 31 * 31; ++i)
    if (g[static_cast<size_t>(i)] != 0) {
      low = std::min({low, i / 31, i % 31});
      high = std::max({high, i / 31, i % 31});
      ++seen;
    }
  EXPECT_EQ(low, 8);
  EXPECT_EQ(high, 22);
  EXPECT_EQ(seen, 15 * 15);
}

TEST(RowGroupedConvolution, IsIndependentConvolutionsSideBySide) {
  const Tensor x = random_floats({2, 8, 6, 5}, 30);
  for (int64_t groups : {1, 2, 4, 8}) {
    const Tensor w = random_floats({16, 8 / groups, 3, 3}, 31, -0.3, 0.3);
    EXPECT_EQ(w.numel() * groups, 16 * 8 * 9);
    const Tensors xs = chunk(x, groups, 1), ws = chunk(w, groups, 0);
    Tensors parts;
    for (size_t g = 0; g < xs.size(); ++g)
      parts.push_back(conv2d(xs[g], ws[g], {}, {.padding = {1}}));
    EXPECT_LE(distance(conv2d(x, w, {}, {.padding = {1}, .groups = groups}), concat(parts, 1)),
              1e-6);
  }
}

TEST(RowDeconvolution, IsTheTransposeOfTheMatrixOfTheConvolution) {
  for (int64_t stride : {1, 2})
    for (int64_t pad : {0, 1}) {
      const Tensor w = random_floats({1, 1, 3, 3}, 40);
      const ConvOptions o = {.stride = {stride}, .padding = {pad}};
      // Row i of `rows` is the convolution of the image whose pixel i alone is 1.
      const Tensor images = reshape(eye(25), {25, 1, 5, 5});
      const Tensor rows = conv2d(images, w, {}, o);
      const Shape out = rows.shape().slice(2, 4);
      const Tensor x = random_floats({1, 1, out[0], out[1]}, 41);
      const Tensor expected =
          matmul(reshape(rows, {25, out.numel()}), reshape(x, {out.numel(), 1}));
      const Tensor y = conv_transpose2d(x, w, {}, {.stride = {stride}, .padding = {pad}});
      EXPECT_LE(distance(y, reshape(expected, {1, 1, 5, 5})), 1e-6)
          << "stride " << stride << " padding " << pad;
    }
}

TEST(RowPooling, TheExampleOfTheCourse) {
  const Tensor x =
      Tensor::from<float>({1, 1, 2, 4, 5, 6, 7, 8, 3, 2, 1, 0, 1, 2, 3, 4}, {1, 1, 4, 4});
  const Tensors y = max_pool2d(x, {2}, {.stride = {2}});
  EXPECT_EQ(y[0].to_vector<float>(), (std::vector<float>{6, 8, 3, 4}));
  EXPECT_EQ(y[1].to_vector<int64_t>(), (std::vector<int64_t>{5, 7, 8, 15}));
  EXPECT_EQ(avg_pool2d(x, {2}).to_vector<float>(), (std::vector<float>{3.25f, 5.25f, 2, 2}));
}

TEST(RowPooling, GradientsAreRight) {
  const Tensors at = in_f64({random_floats({1, 2, 5, 6}, 50, 0.1, 1)});
  const PoolOptions o = {.stride = {2, 1}, .padding = {1}};
  const auto check = [&](const std::function<Tensor(const Tensor&)>& pool) {
    EXPECT_LE(gradient_error([&](const Tensors& x) { return sum(square(pool(x[0]))); }, at), 1e-5);
  };
  check([&](const Tensor& x) { return max_pool2d(x, {3}, o)[0]; });
  check([&](const Tensor& x) { return avg_pool2d(x, {3}, o); });
  check([&](const Tensor& x) { return lp_pool(x, 3, {3}, o); });
  check([&](const Tensor& x) { return stochastic_pool(x, {3}, {2, 1}); });
}

TEST(RowPooling, StochasticPoolingHasTheRightMean) {
  constexpr int64_t draws = 10000;
  const Tensor x = expand(Tensor::from<float>({1, 2, 3, 4}, {1, 1, 2, 2}), {draws, 1, 2, 2});
  const double mean_of_draws =
      mean(stochastic_pool(x, {2}, {}, random_floats({draws, 1, 1, 1}, 51, 0, 1))).item();
  const double expectation = (1 + 4 + 9 + 16) / 10.0;
  EXPECT_NEAR(mean_of_draws, expectation, 0.01 * expectation);
  EXPECT_NEAR(mean(stochastic_pool(x, {2})).item(), expectation, 1e-5);
}

TEST(RowGlobalAveragePooling, IsTheMeanOfChannelsAndOfClassActivationMaps) {
  const Tensor x = random_floats({2, 5, 7, 6}, 60), w = random_floats({3, 5}, 61);
  const Tensor pooled = global_avg_pool(x);
  const auto v = x.to_vector<double>();
  for (int64_t p = 0; p < 10; ++p) {
    double total = 0;
    for (int64_t i = 0; i < 42; ++i) total += v[static_cast<size_t>(p * 42 + i)];
    EXPECT_NEAR(pooled.to_vector<double>()[static_cast<size_t>(p)], total / 42, 1e-6);
  }
  const Tensor maps = conv2d(x, reshape(w, {3, 5, 1, 1})) / 42.0;
  EXPECT_LE(distance(sum(maps, {2, 3}), matmul(pooled, transpose(w))), 1e-5);
}

TEST(RowBatchNorm, TrainingAndInferenceMatchTheFormula) {
  const Tensor x = random_floats({4, 3, 5, 2}, 70, -2, 5), w = random_floats({3}, 71),
               b = random_floats({3}, 72);
  const Tensors y = batch_norm_train(x, w, b);
  const auto xv = x.to_vector<double>(), wv = w.to_vector<double>(), bv = b.to_vector<double>();
  const auto values = y[0].to_vector<double>();
  for (int64_t c = 0; c < 3; ++c) {
    const auto at = [&](int64_t n, int64_t i) { return static_cast<size_t>((n * 3 + c) * 10 + i); };
    double m = 0, var = 0;
    for (int64_t n = 0; n < 4; ++n)
      for (int64_t i = 0; i < 10; ++i) m += xv[at(n, i)] / 40;
    for (int64_t n = 0; n < 4; ++n)
      for (int64_t i = 0; i < 10; ++i) var += (xv[at(n, i)] - m) * (xv[at(n, i)] - m) / 40;
    const auto k = static_cast<size_t>(c);
    EXPECT_NEAR(y[1].to_vector<double>()[k], m, 1e-5);
    EXPECT_NEAR(y[2].to_vector<double>()[k], var, 1e-5);
    for (int64_t n = 0; n < 4; ++n)
      for (int64_t i = 0; i < 10; ++i)
        EXPECT_NEAR(values[at(n, i)], (xv[at(n, i)] - m) / std::sqrt(var + 1e-5) * wv[k] + bv[k],
                    1e-5);
  }
  EXPECT_LE(distance(batch_norm_infer(x, w, b, y[1], y[2]), y[0]), 1e-5);
}

TEST(RowBatchNorm, FoldsIntoAConvolution) {
  const Tensor x = random_floats({2, 3, 6, 6}, 73), kernel = random_floats({4, 3, 3, 3}, 74);
  const Tensor w = random_floats({4}, 75, 0.5, 2), b = random_floats({4}, 76);
  const Tensor m = random_floats({4}, 77), v = random_floats({4}, 78, 0.5, 2);
  const Tensor apart = batch_norm_infer(conv2d(x, kernel), w, b, m, v);
  const Tensor scale = w * rsqrt(v + 1e-5);
  const Tensor folded = conv2d(x, kernel * reshape(scale, {4, 1, 1, 1}), b - m * scale);
  EXPECT_LE(distance(apart, folded), 1e-5);
}

TEST(RowBatchNorm, RunningStatisticsConverge) {
  BatchNorm layer(Scope::init(Key(1)), {.channels = 2});
  for (uint64_t i = 0; i < 150; ++i) {  // channel 0: mean 3, variance 4; channel 1: -1, 0.25
    Context ctx = Context::train(Key(0));
    const Tensor z = normal({256, 2}, Key(i));
    layer(z * Tensor::from<float>({2, 0.5}, {2}) + Tensor::from<float>({3, -1}, {2}), ctx);
    ctx.commit();
    eval({layer.running_mean.value(), layer.running_var.value()});
  }
  const auto mean = layer.running_mean.value().to_vector<float>();
  const auto var = layer.running_var.value().to_vector<float>();
  EXPECT_NEAR(mean[0], 3, 0.1);
  EXPECT_NEAR(mean[1], -1, 0.025);
  EXPECT_NEAR(var[0], 4, 0.3);
  EXPECT_NEAR(var[1], 0.25, 0.02);
}

TEST(RowSkipConnection, ABlockThatBeginsAsTheIdentityPassesItsInput) {
  const Scope s = Scope::init(Key(2));
  Conv2d first(s / "first", {.in = 3, .out = 8, .kernel = {3, 3}, .padding = 1});
  Conv2d second(s / "second", {.in = 8, .out = 3, .kernel = {3, 3}, .padding = 1});
  BatchNorm norm(s / "norm", {.channels = 3});
  norm.weight.set(zeros({3}));  // Goyal et al., 2017
  const Tensor x = random_floats({2, 3, 5, 5}, 96);
  for (bool training : {false, true}) {
    Context ctx = training ? Context::train(Key(0)) : Context::eval();
    const Tensor y = x + norm(second(relu(first(x, ctx)), ctx), ctx);
    EXPECT_EQ(y.to_vector<float>(), x.to_vector<float>());
  }
}

/// Attention of one head by its definition; visible(i, j) says whether query i may look at key j.
std::vector<double> naive_attention(const std::vector<double>& q, const std::vector<double>& k,
                                    const std::vector<double>& v, int64_t rows, int64_t keys,
                                    int64_t d,
                                    const std::function<bool(int64_t, int64_t)>& visible) {
  std::vector<double> out(static_cast<size_t>(rows * d));
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<double> p(static_cast<size_t>(keys));
    double total = 0;
    for (int64_t j = 0; j < keys; ++j) {
      double s = 0;
      for (int64_t f = 0; f < d; ++f)
        s += q[static_cast<size_t>(i * d + f)] * k[static_cast<size_t>(j * d + f)];
      p[static_cast<size_t>(j)] =
          visible(i, j) ? std::exp(s / std::sqrt(static_cast<double>(d))) : 0;
      total += p[static_cast<size_t>(j)];
    }
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t f = 0; f < d; ++f)
        out[static_cast<size_t>(i * d + f)] +=
            p[static_cast<size_t>(j)] / total * v[static_cast<size_t>(j * d + f)];
  }
  return out;
}

TEST(RowMultiHeadSelfAttention, EqualsEveryHeadOnItsOwn) {
  constexpr int64_t n = 2, t = 5, e = 6, heads = 3, d = e / heads;
  const Tensor x = random_floats({n, t, e}, 80), w = random_floats({3 * e, e}, 81),
               b = random_floats({3 * e}, 82);
  const Tensor padding = Tensor::from(std::vector<bool>{0, 0, 0, 0, 0, 0, 0, 0, 1, 1}, {n, t});
  const Tensor y = multi_head_attention(x, x, x, w, b, eye(e), {},
                                        {.heads = heads, .causal = true, .padding_mask = padding});
  const auto all = (matmul(x, transpose(w)) + b).to_vector<double>();
  const auto values = y.to_vector<double>();
  for (int64_t s = 0; s < n; ++s)
    for (int64_t h = 0; h < heads; ++h) {
      std::vector<double> part[3];
      for (int64_t r = 0; r < 3; ++r)
        for (int64_t i = 0; i < t; ++i)
          for (int64_t f = 0; f < d; ++f)
            part[r].push_back(all[static_cast<size_t>((s * t + i) * 3 * e + r * e + h * d + f)]);
      const auto expected =
          naive_attention(part[0], part[1], part[2], t, t, d,
                          [&](int64_t i, int64_t j) { return j <= i && !(s == 1 && j >= 3); });
      for (int64_t i = 0; i < t; ++i)
        for (int64_t f = 0; f < d; ++f)
          EXPECT_NEAR(values[static_cast<size_t>((s * t + i) * e + h * d + f)],
                      expected[static_cast<size_t>(i * d + f)], 1e-5);
    }
}

TEST(RowMultiHeadSelfAttention, TheBlockedFormEqualsTheWholeMatrix) {
  const Tensor q = random_floats({1, 2, 200, 16}, 83), k = random_floats({1, 2, 300, 16}, 84);
  const Tensor v = random_floats({1, 2, 300, 16}, 85);
  const Tensor p = softmax(matmul(q, transpose(k)) * 0.25, -1);
  EXPECT_LE(distance(scaled_dot_product_attention(q, k, v), matmul(p, v)), 1e-4);
}

TEST(RowMultiHeadSelfAttention, TheFutureHasNoGradient) {
  const Tensor q = random_floats({1, 2, 6, 4}, 86), k = random_floats({1, 2, 6, 4}, 87);
  const Tensor v = random_floats({1, 2, 6, 4}, 88);
  for (int64_t i = 0; i < 6; ++i) {
    const Tensor y = narrow(scaled_dot_product_attention(q, k, v, {}, true), 2, i, 1);
    for (const Tensor& g : grad(sum(square(y)), {k, v})) {
      const auto values = g.to_vector<float>();
      for (size_t p = 0; p < values.size(); ++p) {
        if (static_cast<int64_t>(p / 4 % 6) > i) {
          EXPECT_EQ(values[p], 0.f);
        }
      }
    }
  }
}

/// Trains scores on the share that each of a sample's labels has. Returns the mean number of
/// classes that get anything, and how often those with more than a seventh are exactly the labels.
std::pair<double, double> multi_label(const std::function<Tensor(const Tensor&)>& normalise) {
  constexpr int64_t n = 200, features = 12, classes = 8;
  // Class k is a label where feature k is among the largest two or three.
  const Tensor x = random_floats({n, features}, 97, -1, 1);
  const auto xv = x.to_vector<float>();
  std::vector<float> labels(n * classes);
  for (int64_t i = 0; i < n; ++i) {
    std::vector<float> row(xv.begin() + i * features, xv.begin() + i * features + classes);
    std::nth_element(row.begin(), row.begin() + i % 2 + 1, row.end(), std::greater<>());
    for (int64_t k = 0; k < classes; ++k)
      labels[static_cast<size_t>(i * classes + k)] =
          xv[static_cast<size_t>(i * features + k)] >= row[static_cast<size_t>(i % 2 + 1)];
  }
  const Tensor target = Tensor::from(labels, {n, classes});
  const Tensor share = target / sum(target, {1}, true);
  const Scope s = Scope::init(Key(4));
  Linear first(s / "first", {features, 48}), last(s / "last", {48, classes});
  const auto adam = make_optimizer("adam", s.state()->variables(), 1e-2);
  Context ctx = Context::eval();
  const auto scores = [&] { return last(relu(first(x, ctx)), ctx); };
  for (int i = 0; i < 250; ++i) {
    const Tensor z = scores();
    // Both losses have the gradient p - q in the scores.
    const Tensor loss = sum(z * stop_gradient(normalise(z) - share)) / double{n};
    adam->step(grad(loss, values(s.state()->variables())));
    State* states[] = {s.state().get(), adam->state().get()};
    State::commit(states, {loss});
  }
  const Tensor p = normalise(scores());
  const Tensor right = all(eq(gt(p, 1.0 / 7), gt(target, 0.5)), {1});
  return {sum(cast(gt(p, 0.0), DType::f32)).item() / double{n},
          mean(cast(right, DType::f32)).item()};
}

TEST(RowSparsemax, FewerClassesGetAnythingAtEqualAccuracy) {
  const auto sparse = multi_label([](const Tensor& z) { return sparsemax(z); });
  const auto soft = multi_label([](const Tensor& z) { return softmax(z); });
  std::printf("support %g and %g, accuracy %g and %g\n", sparse.first, soft.first, sparse.second,
              soft.second);
  EXPECT_LT(sparse.first, 4);
  EXPECT_EQ(soft.first, 8);
  EXPECT_NEAR(sparse.second, soft.second, 0.05);
  EXPECT_GT(sparse.second, 0.8);
}

TEST(RowAttention, ThreeFormsPassGradientChecks) {
  const Tensors at = in_f64({random_floats({2, 3, 4}, 90), random_floats({2, 5, 4}, 91),
                             random_floats({2, 5, 3}, 92), random_floats({4, 6}, 93),
                             random_floats({4, 6}, 94), random_floats({6}, 95)});
  const auto dot = [](const Tensors& x) {
    return sum(square(scaled_dot_product_attention(x[0], x[1], x[2], {}, false, 1.0)));
  };
  const auto scaled = [](const Tensors& x) {
    return sum(square(scaled_dot_product_attention(x[0], x[1], x[2])));
  };
  const auto additive = [](const Tensors& x) {  // Bahdanau et al. 2015
    const Tensor q = reshape(matmul(x[0], x[3]), {2, 3, 1, 6});
    const Tensor k = reshape(matmul(x[1], x[4]), {2, 1, 5, 6});
    const Tensor p = softmax(sum(tanh(q + k) * x[5], {-1}), -1);
    return sum(square(matmul(p, x[2])));
  };
  EXPECT_LE(gradient_error(dot, {at[0], at[1], at[2]}), 1e-6);
  EXPECT_LE(gradient_error(scaled, {at[0], at[1], at[2]}), 1e-6);
  EXPECT_LE(gradient_error(additive, at), 1e-6);
}

}  // namespace
}  // namespace nacre
