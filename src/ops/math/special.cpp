#include "ops/math/special.h"

#include <math.h>  // lgamma_r

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace nacre::special {
namespace {

using std::numbers::pi;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Bernoulli numbers B2, B4, ...
constexpr double kBernoulli[] = {1. / 6,       -1. / 30, 1. / 42,      -1. / 30,    5. / 66,
                                 -691. / 2730, 7. / 6,   -3617. / 510, 43867. / 798};

/// sum over k >= 0 of (x + k)^-s for x > 0, s > 1 (Euler and Maclaurin).
double zeta(double s, double x) {
  double sum = 0;
  for (; x < 12 + s / 4; ++x) sum += std::pow(x, -s);
  sum += std::pow(x, 1 - s) / (s - 1) + 0.5 * std::pow(x, -s);
  double term = s * std::pow(x, -s - 1) / 2;  // s (s+1) ... (s+2k-2) x^(-s-2k+1) / (2k)!
  for (int k = 1; k <= 9; ++k) {
    sum += kBernoulli[k - 1] * term;
    term *= (s + 2 * k - 1) * (s + 2 * k) / ((2. * k + 1) * (2. * k + 2) * x * x);
  }
  return sum;
}

/// n-th derivative of pi cot(pi x): a polynomial in cot, since cot' = -pi (1 + cot^2).
double cot_derivative(int64_t n, double x) {
  std::vector<double> p = {0, pi};
  for (int64_t i = 0; i < n; ++i) {
    std::vector<double> q(p.size() + 1, 0.0);
    for (size_t k = 1; k < p.size(); ++k) {
      const double c = -pi * static_cast<double>(k) * p[k];
      q[k - 1] += c;
      q[k + 1] += c;
    }
    p = std::move(q);
  }
  const double cot = 1 / std::tan(pi * (x - std::floor(x)));
  double y = 0;
  for (size_t k = p.size(); k-- > 0;) y = y * cot + p[k];
  return y;
}

}  // namespace

double lgamma(double x) {
#if defined(__GLIBC__)
  int sign = 0;
  return ::lgamma_r(x, &sign);
#else
  return std::lgamma(x);
#endif
}

double digamma(double x) {
  if (x == 0) return -std::copysign(kInf, x);
  if (x < 0) {
    if (x == std::floor(x)) return kNaN;
    return digamma(1 - x) - pi / std::tan(pi * (x - std::floor(x)));
  }
  double y = 0;
  for (; x < 12; ++x) y -= 1 / x;
  if (std::isinf(x)) return x;
  const double z = 1 / (x * x);
  double power = z, series = 0;
  for (int k = 1; k <= 9; ++k, power *= z) series += kBernoulli[k - 1] / (2 * k) * power;
  return y + std::log(x) - 0.5 / x - series;
}

double polygamma(int64_t n, double x) {
  if (n == 0) return digamma(x);
  if (std::isnan(x) || x == -kInf) return kNaN;
  if (x == kInf) return 0;
  const double sign = n % 2 ? 1 : -1;
  if (x <= 0) {
    if (x == std::floor(x)) return sign * kInf;
    // (-1)^n psi_n(1 - x) - psi_n(x) = d^n/dx^n of pi cot(pi x)
    return -sign * polygamma(n, 1 - x) - cot_derivative(n, x);
  }
  const double s = static_cast<double>(n) + 1;
  return sign * std::tgamma(s) * zeta(s, x);
}

double erfinv(double x) {
  const double a = std::fabs(x);
  if (a >= 1 || std::isnan(x)) return a == 1 ? std::copysign(kInf, x) : kNaN;
  const double q = (1 - a) * (1 + a);
  // Winitzki's approximation, then Halley's method on whichever of erf and erfc is small.
  const double l = std::log(q), b = 2 / (pi * 0.147) + l / 2;
  double y =
      q == 1 ? a / (2 * std::numbers::inv_sqrtpi) : std::sqrt(std::sqrt(b * b - l / 0.147) - b);
  for (int i = 0; i < 4; ++i) {
    const double e = a > 0.5 ? (1 - a) - std::erfc(y) : std::erf(y) - a;
    const double step = e / (2 * std::numbers::inv_sqrtpi) * std::exp(y * y);
    y -= step / (1 + y * step);
  }
  return std::copysign(y, x);
}

}  // namespace nacre::special
