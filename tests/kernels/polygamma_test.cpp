// polygamma of the CPU backend against the reference: large orders, and arguments so negative that
// a sum over all terms would never end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

std::vector<double> of(int64_t order, const std::vector<double>& x, DType type, bool reference) {
  set_reference_backend(reference);
  const Tensor t = cast(Tensor::from(x, {static_cast<int64_t>(x.size())}), type);
  const auto y = polygamma(order, t).to_vector<double>();
  set_reference_backend(false);
  return y;
}

TEST(Polygamma, EqualsTheReferenceEverywhere) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  std::vector<double> x = {0,           -0.0,        1,    -1,    -7,     -1e6, -1e15,  -1e16,
                           -1e200,      -1e300,      1e16, 1e300, -inf,   inf,  NAN,    -1e6 - 0.5,
                           -1e9 - 0.25, -4e15 - 0.5, 1e-3, -1e-3, -0.999, -3.5, -12.25, -1000.125};
  for (double v = 0.05; v < 60; v *= 1.31) x.push_back(v), x.push_back(-v);
  for (DType type : {DType::f64, DType::f32})
    for (int64_t order : {0, 1, 2, 3, 4, 7, 20, 51, 99}) {
      const auto got = of(order, x, type, false), want = of(order, x, type, true);
      const double relative = type == DType::f64 ? 2e-12 : 3e-7;
      for (size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(want[i])) {
          EXPECT_TRUE(std::isnan(got[i])) << order << " at " << x[i] << ": " << got[i];
        } else if (std::isinf(want[i])) {
          EXPECT_EQ(got[i], want[i]) << order << " at " << x[i];
        } else {
          // Left of zero two terms of this size may cancel.
          const double f = x[i] - std::floor(x[i]), s = static_cast<double>(order) + 1;
          const double term = x[i] < 0 ? std::tgamma(s) * std::pow(std::min(f, 1 - f), -s) : 1;
          EXPECT_NEAR(got[i], want[i], relative * std::max({1.0, std::abs(want[i]), term}))
              << order << " at " << x[i];
        }
      }
    }
}

TEST(Polygamma, KnownValues) {
  const double pi = std::acos(-1.0);
  // psi_1(1/2 - n) = pi^2/2 + 4 sum of 1/(2k - 1)^2 over k = 1..n, which tends to pi^2.
  EXPECT_NEAR(of(1, {0.5}, DType::f64, false)[0], pi * pi / 2, 1e-13);
  EXPECT_NEAR(of(1, {-0.5}, DType::f64, false)[0], pi * pi / 2 + 4, 1e-13);
  EXPECT_NEAR(of(1, {-1e12 - 0.5}, DType::f64, false)[0], pi * pi, 1e-11);
  EXPECT_NEAR(of(20, {-3.5}, DType::f64, false)[0], of(20, {4.5}, DType::f64, false)[0], 1e-6);
  EXPECT_NEAR(of(2, {1}, DType::f64, false)[0], -2.4041138063191886, 1e-13);  // -2 zeta(3)
}

}  // namespace
}  // namespace nacre
