// Random ops against the distributions they claim: moments within five standard errors,
// Kolmogorov and Smirnov's distance, counts; and the rule that a key fixes all values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

constexpr int64_t kCount = 20000;

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

double mean_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double variance_of(const std::vector<double>& v) {
  const double m = mean_of(v);
  double sum = 0;
  for (double x : v) sum += (x - m) * (x - m);
  return sum / static_cast<double>(v.size());
}

void expect_moments(const Tensor& t, double mean, double variance) {
  const auto v = values(t);
  const double error = std::sqrt(variance / static_cast<double>(v.size()));
  EXPECT_NEAR(mean_of(v), mean, 5 * error);
  EXPECT_NEAR(variance_of(v) / variance, 1, 0.1);
}

/// The largest distance between the distribution of the sample and the one claimed, times sqrt(n):
/// above 1.95 once in a thousand times.
double kolmogorov_smirnov(const Tensor& t, const std::function<double(double)>& cdf) {
  auto v = values(t);
  std::sort(v.begin(), v.end());
  const auto n = static_cast<double>(v.size());
  double worst = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    const double f = cdf(v[i]), rank = static_cast<double>(i);
    worst = std::max({worst, f - rank / n, (rank + 1) / n - f});
  }
  return worst * std::sqrt(n);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

TEST(Random, KnownAnswersOfPhilox) {
  // Random123's kat_vectors: philox4x32-10, counter and key zero.
  EXPECT_EQ(random_bits({4}, Key(0)).to_vector<int64_t>(),
            (std::vector<int64_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Random, AKeyFixesTheValues) {
  const auto draw = [](uint64_t seed) { return values(normal({100}, Key(seed))); };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  EXPECT_NE(values(uniform({50}, Key(1))), values(uniform({50}, Key(1).fold_in("other"))));
}

TEST(Random, ANewKeyCompilesNothing) {
  const auto step = [](uint64_t seed) {
    return values(dropout(uniform({8}, Key(seed)), 0.5, Key(seed + 1)));
  };
  for (uint64_t i = 0; i < 3; ++i) step(i);
  const auto before = plan_stats();
  for (uint64_t i = 3; i < 20; ++i) step(i);
  const auto after = plan_stats();
  EXPECT_EQ(after.compilations + after.plain, before.compilations + before.plain);
}

TEST(Random, Uniform) {
  for (DType type : {DType::f32, DType::f64}) {
    const Tensor u = uniform({kCount}, Key(11), 0, 1, type);
    expect_moments(u, 0.5, 1.0 / 12);
    EXPECT_LT(kolmogorov_smirnov(u, [](double x) { return x; }), 1.95);
    const auto v = values(u);
    EXPECT_GE(*std::min_element(v.begin(), v.end()), 0);
    EXPECT_LT(*std::max_element(v.begin(), v.end()), 1);
  }
  expect_moments(uniform({kCount}, Key(12), -3, 5), 1, 64.0 / 12);
}

TEST(Random, SixteenBitUniformNeverReachesOne) {
  for (DType type : {DType::bf16, DType::f16}) {
    const auto v = values(uniform({kCount}, Key(3), 0, 1, type));
    EXPECT_LT(*std::max_element(v.begin(), v.end()), 1);
    EXPECT_NEAR(mean_of(v), 0.5, 0.02);
  }
}

TEST(Random, Normal) {
  for (DType type : {DType::f32, DType::f64}) {
    const Tensor z = normal({kCount}, Key(21), 0, 1, type);
    expect_moments(z, 0, 1);
    EXPECT_LT(kolmogorov_smirnov(z, normal_cdf), 1.95);
    // Neighbours come from one pair of uniform numbers and still do not go together.
    const auto v = values(z);
    double both = 0;
    for (size_t i = 0; i < v.size(); i += 2) both += v[i] * v[i + 1];
    EXPECT_LT(std::abs(both) / std::sqrt(static_cast<double>(kCount) / 2), 5);
  }
  expect_moments(normal({kCount}, Key(22), 3, 0.5), 3, 0.25);
}

TEST(Random, TruncatedNormal) {
  const Tensor t = truncated_normal({kCount}, Key(31), 1, 2, -1, 2);
  const double a = normal_cdf(-1), b = normal_cdf(0.5);
  EXPECT_LT(
      kolmogorov_smirnov(t, [&](double x) { return (normal_cdf((x - 1) / 2) - a) / (b - a); }),
      1.95);
  const auto v = values(t);
  EXPECT_GE(*std::min_element(v.begin(), v.end()), -1);
  EXPECT_LE(*std::max_element(v.begin(), v.end()), 2);
}

TEST(Random, ExponentialAndGumbel) {
  EXPECT_LT(kolmogorov_smirnov(exponential({kCount}, Key(41), 2.0),
                               [](double x) { return 1 - std::exp(-2 * x); }),
            1.95);
  const Tensor g = gumbel({kCount}, Key(42));
  EXPECT_LT(kolmogorov_smirnov(g, [](double x) { return std::exp(-std::exp(-x)); }), 1.95);
}

TEST(Random, Randint) {
  const auto v = randint({kCount}, Key(51), -3, 4).to_vector<int64_t>();
  std::vector<double> count(7);
  for (int64_t x : v) {
    ASSERT_GE(x, -3);
    ASSERT_LT(x, 4);
    ++count[static_cast<size_t>(x + 3)];
  }
  const double each = static_cast<double>(kCount) / 7;
  double chi2 = 0;
  for (double c : count) chi2 += (c - each) * (c - each) / each;
  EXPECT_LT(chi2, 22.5);  // six degrees of freedom, once in a thousand times
}

TEST(Random, PermutationHoldsEachNumberOnce) {
  auto p = permutation(500, Key(61)).to_vector<int64_t>();
  EXPECT_FALSE(std::is_sorted(p.begin(), p.end()));
  std::sort(p.begin(), p.end());
  for (size_t i = 0; i < p.size(); ++i) EXPECT_EQ(p[i], static_cast<int64_t>(i));
  // All six orders of three are equally likely.
  std::vector<int> orders(9);
  for (uint64_t k = 0; k < 600; ++k) {
    const auto q = permutation(3, Key(k)).to_vector<int64_t>();
    ++orders[static_cast<size_t>(q[0] * 3 + q[1])];
  }
  for (size_t i : {1u, 2u, 3u, 5u, 6u, 7u}) EXPECT_NEAR(orders[i], 100, 50);
}

TEST(Random, Bernoulli) {
  const auto v = values(bernoulli(full({kCount}, 0.3), Key(71)));
  for (double x : v) ASSERT_TRUE(x == 0 || x == 1);
  EXPECT_NEAR(mean_of(v), 0.3, 5 * std::sqrt(0.21 / kCount));
}

TEST(Random, MultinomialWithReplacementFollowsTheProbabilities) {
  const Tensor p = Tensor::from({1.f, 0.f, 3.f, 4.f}, {4});
  const auto v = multinomial(p, kCount, Key(81), true).to_vector<int64_t>();
  std::vector<double> share(4);
  for (int64_t x : v) share[static_cast<size_t>(x)] += 1.0 / kCount;
  EXPECT_NEAR(share[0], 1.0 / 8, 0.015);
  EXPECT_EQ(share[1], 0);
  EXPECT_NEAR(share[2], 3.0 / 8, 0.02);
  EXPECT_NEAR(share[3], 4.0 / 8, 0.02);
}

TEST(Random, MultinomialWithoutReplacementDrawsEachClassOnce) {
  const Tensor p = expand(Tensor::from({1.f, 2.f, 5.f}, {3}), {4000, 3});
  const auto v = multinomial(p, 3, Key(82)).to_vector<int64_t>();
  std::vector<double> first(3);
  for (size_t r = 0; r < v.size(); r += 3) {
    EXPECT_EQ(v[r] + v[r + 1] + v[r + 2], 3);
    EXPECT_NE(v[r], v[r + 1]);
    first[static_cast<size_t>(v[r])] += 1.0 / 4000;
  }
  EXPECT_NEAR(first[0], 1.0 / 8, 0.03);
  EXPECT_NEAR(first[1], 2.0 / 8, 0.04);
  EXPECT_NEAR(first[2], 5.0 / 8, 0.04);
}

TEST(Random, DropoutKeepsTheMeanAndDropsAtItsRate) {
  const auto v = values(dropout(ones({kCount}), 0.3, Key(91)));
  int64_t zeros = 0;
  for (double x : v) {
    if (x == 0)
      ++zeros;
    else
      ASSERT_NEAR(x, 1 / 0.7, 1e-6);
  }
  EXPECT_NEAR(static_cast<double>(zeros) / kCount, 0.3, 5 * std::sqrt(0.21 / kCount));
}

TEST(Random, DropoutOfChannelsAndExamplesTakesThemWhole) {
  const auto channels = values(dropout2d(ones({40, 10, 3, 3}), 0.5, Key(92)));
  int64_t dropped = 0;
  for (size_t c = 0; c < 400; ++c) {
    for (size_t i = 1; i < 9; ++i) ASSERT_EQ(channels[c * 9 + i], channels[c * 9]);
    dropped += channels[c * 9] == 0;
  }
  EXPECT_NEAR(static_cast<double>(dropped), 200, 50);
  const auto examples = values(drop_path(ones({400, 5}), 0.25, Key(93)));
  for (size_t e = 0; e < 400; ++e)
    for (size_t i = 1; i < 5; ++i) ASSERT_EQ(examples[e * 5 + i], examples[e * 5]);
  EXPECT_NEAR(static_cast<double>(std::count(examples.begin(), examples.end(), 0.0)), 500, 220);
}

TEST(Random, AlphaDropoutKeepsMeanAndVariance) {
  expect_moments(alpha_dropout(normal({kCount}, Key(94)), 0.2, Key(95)), 0, 1);
}

}  // namespace
}  // namespace nacre
