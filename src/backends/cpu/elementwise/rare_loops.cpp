// Functions that are seldom worth vector code: the C library's, or series, in double.
#include <cmath>
#include <limits>
#include <numbers>

#include "backends/cpu/elementwise/loops.h"

namespace nacre::cpu {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

double lgamma_of(double x) {
  int sign;  // lgamma itself writes a global
  return ::lgamma_r(x, &sign);
}

/// Recurrence up to x >= 10, then the asymptotic series; reflection for negative x.
double digamma(double x) {
  if (x == 0) return -std::copysign(kInf, x);
  double y = 0;
  if (x < 0) {
    if (x == std::floor(x)) return kNaN;
    double whole;
    y = -std::numbers::pi / std::tan(std::numbers::pi * std::modf(x, &whole));
    x = 1 - x;
  }
  for (; x < 10; ++x) y -= 1 / x;
  if (x == kInf) return y + kInf;
  const double z = 1 / (x * x);
  const double series =
      z * (1. / 12 -
           z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * 691. / 32760)))));
  return y + std::log(x) - 0.5 / x - series;
}

/// Hurwitz zeta, sum of (x + k)^-s over k >= 0, for x > 0, s > 1, by Euler and Maclaurin.
double hurwitz_zeta(double s, double x) {
  static constexpr double bernoulli[] = {1. / 6,  -1. / 30,     1. / 42, -1. / 30,
                                         5. / 66, -691. / 2730, 7. / 6,  -3617. / 510};
  double sum = 0;
  while (x < 10 + s / 2) {
    sum += std::pow(x, -s);
    ++x;
  }
  if (x == kInf) return 0;
  sum += std::pow(x, 1 - s) / (s - 1) + 0.5 * std::pow(x, -s);
  double factor = s / 2, power = std::pow(x, -s - 1);
  for (int k = 1; k <= 8; ++k) {
    sum += bernoulli[k - 1] * factor * power;  // factor is s (s+1) ... (s+2k-2) / (2k)!
    factor *= (s + 2 * k - 1) * (s + 2 * k) / ((2. * k + 1) * (2. * k + 2));
    power /= x * x;
  }
  return sum;
}

double polygamma(int64_t order, double x) {
  if (order == 0) return digamma(x);
  if (order < 0 || x == -kInf) return kNaN;
  const double s = static_cast<double>(order) + 1, f = x - std::floor(x);
  double sum;
  if (x > 0)
    sum = hurwitz_zeta(s, x);
  else if (f == 0)
    sum = kInf;
  else  // the terms below zero are those from 1 - f up to, not including, 1 - x, with their sign
    sum = order % 2 ? hurwitz_zeta(s, f) + hurwitz_zeta(s, 1 - f) - hurwitz_zeta(s, 1 - x)
                    : hurwitz_zeta(s, f) - hurwitz_zeta(s, 1 - f) + hurwitz_zeta(s, 1 - x);
  return (order % 2 ? 1 : -1) * std::tgamma(s) * sum;
}

/// Giles' single-precision approximation, then Newton's method on erf (erfc near the ends).
double erfinv(double x) {
  const double a = std::fabs(x);
  if (!(a < 1)) return a == 1 ? std::copysign(kInf, x) : kNaN;
  if (a < 1e-8) return x * std::sqrt(std::numbers::pi) / 2;
  double w = -std::log((1 - a) * (1 + a)), y;
  if (w < 5) {
    w -= 2.5;
    y = 1.50140941 + w * (0.246640727 + w * (-0.00417768164 + w * -0.00125372503));
  } else {
    w = std::sqrt(w) - 3;
    y = 2.83297682 + w * (1.00167406 + w * (0.00943887047 + w * -0.0076224613));
  }
  y *= a;
  for (int i = 0; i < 3; ++i) {
    const double error = a > 0.5 ? (1 - a) - std::erfc(y) : std::erf(y) - a;
    const double step = error * std::sqrt(std::numbers::pi) / 2 * std::exp(y * y);
    y -= step / (1 + y * step);  // Halley
  }
  return std::copysign(y, x);
}

/// Python's: the result has the sign of b.
template <class T>
T remainder_of(T a, T b) {
  const T r = std::fmod(a, b);
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

template <class T>
T floor_div(T a, T b) {
  if (b == 0) return a / b;
  const T r = std::fmod(a, b);
  T q = (a - r) / b;
  if (r != 0 && ((r < 0) != (b < 0))) q -= 1;
  if (q == 0) return std::copysign(T(0), a / b);
  const T f = std::floor(q);
  return q - f > T(0.5) ? f + 1 : f;
}

template <class T>
void loop(Ew op, const T* a, const T* b, T* out, int64_t n, int64_t order) {
#define UNARY(name, expression)            \
  case Ew::name##_:                        \
    for (int64_t i = 0; i < n; ++i) {      \
      const double x = a[i];               \
      out[i] = static_cast<T>(expression); \
    }                                      \
    return;
#define BINARY(name, expression)           \
  case Ew::name##_:                        \
    for (int64_t i = 0; i < n; ++i) {      \
      const double x = a[i], y = b[i];     \
      out[i] = static_cast<T>(expression); \
    }                                      \
    return;
  switch (op) {
    UNARY(exp2, std::exp2(x))
    UNARY(log2, std::log2(x))
    UNARY(log10, std::log10(x))
    UNARY(cbrt, std::cbrt(x))
    UNARY(sin, std::sin(x))
    UNARY(cos, std::cos(x))
    UNARY(tan, std::tan(x))
    UNARY(asin, std::asin(x))
    UNARY(acos, std::acos(x))
    UNARY(atan, std::atan(x))
    UNARY(sinh, std::sinh(x))
    UNARY(cosh, std::cosh(x))
    UNARY(asinh, std::asinh(x))
    UNARY(acosh, std::acosh(x))
    UNARY(atanh, std::atanh(x))
    UNARY(erf, std::erf(x))
    UNARY(erfc, std::erfc(x))
    UNARY(erfinv, erfinv(x))
    UNARY(lgamma, lgamma_of(x))
    UNARY(digamma, digamma(x))
    UNARY(polygamma, polygamma(order, x))
    BINARY(pow, std::pow(x, y))
    BINARY(atan2, std::atan2(x, y))
    BINARY(hypot, std::hypot(x, y))
    case Ew::fmod_:
      for (int64_t i = 0; i < n; ++i) out[i] = std::fmod(a[i], b[i]);
      return;
    case Ew::remainder_:
      for (int64_t i = 0; i < n; ++i) out[i] = remainder_of(a[i], b[i]);
      return;
    case Ew::floor_div_:
      for (int64_t i = 0; i < n; ++i) out[i] = floor_div(a[i], b[i]);
      return;
    default:
      return;
  }
#undef UNARY
#undef BINARY
}

}  // namespace

void rare_loop(Ew op, const float* a, const float* b, float* out, int64_t n, int64_t order) {
  loop(op, a, b, out, n, order);
}
void rare_loop(Ew op, const double* a, const double* b, double* out, int64_t n, int64_t order) {
  loop(op, a, b, out, n, order);
}

}  // namespace nacre::cpu
