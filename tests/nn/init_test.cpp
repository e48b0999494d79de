// Initialisers keep the scale of activations through 50 layers, or do not where they are scaled
// badly.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nacre/nn.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

using Layer = std::function<Tensor(const Tensor& x, const Tensor& weight)>;

double variance(const Tensor& t) {
  const Tensor m = mean(t);
  return mean(square(t - m)).item();
}

/// Variances before each activation divided by that of the input, over 50 layers, mean of 4 nets.
std::vector<double> through(const Init& init, const Shape& weight, const Shape& input,
                            const Layer& layer, bool with_relu) {
  NoGrad guard;
  std::vector<double> ratio(50, 0.0);
  for (uint64_t net = 0; net < 4; ++net) {
    Tensor x = normal(input, Key(net).fold_in("x"));
    const double before = variance(x);
    for (size_t k = 0; k < 50; ++k) {
      x = layer(with_relu && k ? relu(x) : x, init(weight, Key(net).fold_in(k)));
      eval(x);
      // The first layer's input is not rectified: twice the power goes into it.
      ratio[k] += variance(x) / before / (with_relu ? 2 : 1) / 4;
    }
  }
  return ratio;
}

void expect_kept(const std::vector<double>& ratio, const char* name) {
  const auto [low, high] = std::minmax_element(ratio.begin(), ratio.end());
  EXPECT_GE(*low, 0.5) << name;
  EXPECT_LE(*high, 2.0) << name;
}

Tensor dense(const Tensor& x, const Tensor& w) { return matmul(x, transpose(w, 0, 1)); }

TEST(Init, XavierKeepsTheVarianceOfALinearNet) {
  for (const auto& init : {init::xavier_normal(), init::xavier_uniform()})
    expect_kept(through(init, {256, 256}, {128, 256}, dense, false), "xavier");
  const auto last = [&](const Init& init) {
    return through(init, {256, 256}, {128, 256}, dense, false).back();
  };
  EXPECT_LT(last(init::xavier_normal(0.5)), 1e-12);  // 0.25^50 is 8e-31
  EXPECT_GT(last(init::xavier_normal(2)), 1e12);
}

TEST(Init, HeKeepsTheVarianceOfARectifiedNet) {
  const double gain = std::sqrt(2.0);
  for (const auto& init : {init::he_normal(), init::he_uniform()})
    expect_kept(through(init, {512, 512}, {64, 512}, dense, true), "he");
  const auto last = [&](const Init& init) {
    return through(init, {256, 256}, {64, 256}, dense, true).back();
  };
  EXPECT_LT(last(init::he_normal(gain / 2)), 1e-12);
  EXPECT_GT(last(init::he_normal(gain * 2)), 1e12);
  // Xavier's variance is half of what ReLU needs: 2^-50.
  EXPECT_LT(last(init::xavier_normal()), 1e-10);
}

TEST(Init, OrthogonalKeepsLengthsExactly) {
  const auto ratio = through(init::orthogonal(), {64, 64}, {64, 64}, dense, false);
  for (const double r : ratio) EXPECT_NEAR(r, 1, 0.01);
  EXPECT_LT(through(init::orthogonal(0.5), {24, 24}, {64, 24}, dense, false).back(), 1e-12);
  EXPECT_GT(through(init::orthogonal(2), {24, 24}, {64, 24}, dense, false).back(), 1e12);
  for (const Shape& shape : {Shape{12, 5, 2}, Shape{5, 12}}) {
    const Tensor w = reshape(init::orthogonal()(shape, Key(1)), {shape[0], -1});
    const bool wide = w.size(0) <= w.size(1);
    const Tensor wt = transpose(w, 0, 1), product = wide ? matmul(w, wt) : matmul(wt, w);
    const auto got = product.to_vector<float>();
    const auto n = static_cast<size_t>(product.size(0));
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], i / n == i % n ? 1 : 0, 1e-5);
  }
}

TEST(Init, TruncatedNormalStaysInsideWithItsSpread) {
  const auto w = init::truncated_normal(1, 0.5)({100, 100}, Key(1)).to_vector<float>();
  double sum = 0, squares = 0;
  for (const float v : w) {
    EXPECT_LE(std::abs(v - 1), 1 + 1e-6);  // 2 of 0.5
    sum += v;
    squares += (v - 1.0) * (v - 1.0);
  }
  const auto n = static_cast<double>(w.size());
  EXPECT_NEAR(sum / n, 1, 0.02);
  // Of a standard normal cut at 2: 1 - 2 * 2 * density(2) / mass = 0.7737.
  EXPECT_NEAR(squares / n / 0.25, 0.7737, 0.03);
}

TEST(Init, SparseColumnsHaveSoManyZeros) {
  const auto w = init::sparse(0.75, 0.3)({40, 30}, Key(1)).to_vector<float>();
  double squares = 0;
  for (size_t column = 0; column < 30; ++column) {
    int zeros = 0;
    for (size_t row = 0; row < 40; ++row) {
      zeros += w[row * 30 + column] == 0;
      squares += w[row * 30 + column] * w[row * 30 + column];
    }
    EXPECT_EQ(zeros, 30) << column;
  }
  EXPECT_NEAR(squares / 300, 0.09, 0.03);
}

TEST(Init, IdentityChangesNothing) {
  const Tensor x = normal({3, 5}, Key(1));
  EXPECT_EQ(matmul(x, init::identity()({5, 5}, Key(2))).to_vector<float>(), x.to_vector<float>());
  const Tensor picture = normal({2, 4, 6, 7}, Key(3));
  ConvOptions o;
  o.padding = 1;
  EXPECT_TRUE(allclose(conv2d(picture, init::identity(2)({4, 4, 3, 3}, Key(4)), {}, o),
                       2.0 * picture, 1e-6, 1e-6));
}

TEST(Init, DeltaOrthogonalKeepsTheVarianceOfAConvolutionalNet) {
  const auto conv = [](const Tensor& x, const Tensor& w) {
    return conv2d(x, w, {}, {.padding = 1});
  };
  const Shape weight{16, 16, 3, 3}, input{8, 16, 8, 8};
  for (const double r : through(init::delta_orthogonal(), weight, input, conv, false))
    EXPECT_NEAR(r, 1, 0.01);
  EXPECT_LT(through(init::delta_orthogonal(0.5), weight, input, conv, false).back(), 1e-12);
  EXPECT_GT(through(init::delta_orthogonal(2), weight, input, conv, false).back(), 1e12);
  // A plain orthogonal kernel is larger off its centre, where borders take power away.
  EXPECT_LT(through(init::orthogonal(), weight, input, conv, false).back(), 0.5);
}

}  // namespace
}  // namespace nacre
