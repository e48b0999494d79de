// Properties that samples of ops cannot state: optimality of a projection, gradients at points
// where formulas have 0/0.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/random.h"

namespace nacre {
namespace {

Tensor symmetric(const Shape& shape, uint64_t seed, double size) {
  Rng rng{Key(seed)};
  std::vector<double> v(static_cast<size_t>(shape.numel()));
  for (double& x : v) x = rng.uniform(-size, size);
  return Tensor::from(v, shape);
}

/// Of min |p - z|^2 over the simplex: z - p is one number tau on the support, and z <= tau off it.
TEST(Sparsemax, IsTheProjectionOntoTheSimplex) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Tensor z = symmetric({6}, seed, 0.2 + 0.2 * static_cast<double>(seed));
    const auto x = z.to_vector<double>(), p = sparsemax(z).to_vector<double>();
    double total = 0, tau = NAN;
    for (size_t i = 0; i < p.size(); ++i) {
      ASSERT_GE(p[i], 0);
      total += p[i];
      if (p[i] > 0) tau = x[i] - p[i];
    }
    EXPECT_NEAR(total, 1, 1e-12);
    for (size_t i = 0; i < p.size(); ++i) {
      if (p[i] > 0)
        EXPECT_NEAR(x[i] - p[i], tau, 1e-12);
      else
        EXPECT_LE(x[i], tau + 1e-12);
    }
  }
}

TEST(Sparsemax, GradientOfItsLossIsTheDifferenceToTheTarget) {
  const Tensor z = symmetric({5, 7}, 3, 1);
  const Tensor target = Tensor::from<int64_t>({0, 6, 3, 3, 1}, {5});
  const Tensor g = grad(sum(sparsemax_loss(z, target, Reduction::none)), {z})[0];
  const auto got = g.to_vector<double>();
  const auto want = (sparsemax(z) - cast(one_hot(target, 7), DType::f64)).to_vector<double>();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-12);
}

TEST(Sparsemax, LossIsZeroOnceTheTargetLeadsByOne) {
  const Tensor z = Tensor::from({2.0, 1.0, -3.0, 2.0, 1.5, 0.0}, {2, 3});
  const Tensor target = Tensor::from<int64_t>({0, 0}, {2});
  const auto loss = sparsemax_loss(z, target, Reduction::none).to_vector<double>();
  EXPECT_NEAR(loss[0], 0, 1e-15);
  EXPECT_GT(loss[1], 0.01);
}

TEST(Gradients, AreFiniteWhereFormulasDivideByZero) {
  const Tensor zero = Tensor::from({0.0, 0.0}, {2}), one = Tensor::from({1.0, 1.0}, {2});
  const auto first = [](const Tensor& y, const Tensor& x) {
    return grad(sum(y), {x})[0].to_vector<double>();
  };
  using Values = std::vector<double>;
  EXPECT_EQ(first(norm(zero), zero), (Values{0, 0}));
  EXPECT_EQ(first(norm(zero, 3), zero), (Values{0, 0}));
  EXPECT_EQ(first(stddev(one), one), (Values{0, 0}));
  EXPECT_EQ(first(hypot(zero, zero), zero), (Values{0, 0}));
  EXPECT_EQ(first(pow(zero, zero), zero), (Values{0, 0}));
  EXPECT_EQ(first(pow(zero, one), one), (Values{0, 0}));
  EXPECT_EQ(first(xlogy(zero, zero), zero), (Values{0, 0}));
  EXPECT_EQ(first(sinc(zero), zero), (Values{0, 0}));
  for (double v : first(cosine_similarity(zero, one, 0), zero)) EXPECT_TRUE(std::isfinite(v));
  const Tensor edge = Tensor::from({0.0, 1.0}, {2});
  for (double v : first(bce_loss(edge, edge), edge)) EXPECT_TRUE(std::isfinite(v));
}

TEST(Gradients, OfASecondDerivativeOfNorm) {
  // Of |x| in two dimensions: (1 - x x^T / |x|^2) / |x|.
  const Tensor x = Tensor::from({3.0, 4.0}, {2});
  const Tensor g = grad(norm(x), {x})[0];
  const auto h = grad(sum(g * Tensor::from({1.0, 0.0}, {2})), {x})[0].to_vector<double>();
  EXPECT_NEAR(h[0], (1 - 9.0 / 25) / 5, 1e-12);
  EXPECT_NEAR(h[1], (-12.0 / 25) / 5, 1e-12);
}

}  // namespace
}  // namespace nacre
