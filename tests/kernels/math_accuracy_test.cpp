// Errors of the vector functions over the f32 line, on every instruction set of this machine.
#include <gtest/gtest.h>

#include <bit>

#include "arrays.h"
#include "backends/cpu/elementwise/loops.h"
#include "kernels/targets.h"

namespace nacre::cpu {
namespace {

using nacre::test::on_each_target;
using nacre::test::ulp_error;

struct Function {
  Ew op;
  const char* name;
  double (*exact)(double);
  double bound;  // ulp, as in docs/math-accuracy.md
};

const Function kFunctions[] = {
    {Ew::exp_, "exp", std::exp, 1},
    {Ew::exp2_, "exp2", std::exp2, 0.51},
    {Ew::expm1_, "expm1", std::expm1, 2},
    {Ew::log_, "log", std::log, 1},
    {Ew::log2_, "log2", std::log2, 0.51},
    {Ew::log10_, "log10", std::log10, 0.51},
    {Ew::log1p_, "log1p", std::log1p, 1.5},
    {Ew::sqrt_, "sqrt", std::sqrt, 0.5},
    {Ew::rsqrt_, "rsqrt", [](double x) { return 1 / std::sqrt(x); }, 1.5},
    {Ew::reciprocal_, "reciprocal", [](double x) { return 1 / x; }, 0.5},
    {Ew::tanh_, "tanh", std::tanh, 2},
    {Ew::sigmoid_, "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 2},
    {Ew::softplus_, "softplus", [](double x) { return x > 40 ? x : std::log1p(std::exp(x)); }, 2},
    {Ew::log_sigmoid_, "log_sigmoid",
     [](double x) { return x < -40 ? x : -std::log1p(std::exp(-x)); }, 2},
    {Ew::erf_, "erf", std::erf, 1.5},
    {Ew::sin_, "sin", std::sin, 1.5},
    {Ew::cos_, "cos", std::cos, 1.5},
    {Ew::tan_, "tan", std::tan, 0.51},
    {Ew::cbrt_, "cbrt", std::cbrt, 0.51},
    {Ew::erfc_, "erfc", std::erfc, 5.5},
    {Ew::lgamma_, "lgamma", std::lgamma, 0.51},
};

TEST(MathAccuracy, FunctionsOfOneVariable) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 10007)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (double v = -20; v <= 20; v += 0.00317) x.push_back(static_cast<float>(v));
  for (float v : {0.f, -0.f, 1.f, -1.f, INFINITY, -INFINITY, NAN, 1e-45f, 88.72f, 88.73f, -103.9f})
    x.push_back(v);
  const auto n = static_cast<int64_t>(x.size());
  std::vector<float> y(x.size());
  for (const Function& f : kFunctions) {
    std::vector<double> want(x.size());
    for (size_t i = 0; i < x.size(); ++i) want[i] = f.exact(x[i]);
    on_each_target([&](const char* target) {
      float_loop(f.op, x.data(), nullptr, y.data(), n, 0);
      double worst = 0;
      size_t at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double e = ulp_error(y[i], want[i]);
        if (e > worst) worst = e, at = i;
      }
      RecordProperty(std::string(f.name) + "_" + target, std::to_string(worst));
      EXPECT_LE(worst, f.bound) << f.name << "(" << x[at] << ") = " << y[at] << " on " << target;
    });
  }
}

TEST(MathAccuracy, SignOfZeroIsKept) {
  on_each_target([&](const char* target) {
    for (Ew op : {Ew::expm1_, Ew::log1p_, Ew::sqrt_, Ew::tanh_, Ew::erf_, Ew::sin_, Ew::neg_}) {
      const float zero[] = {-0.f};
      float y[1];
      float_loop(op, zero, nullptr, y, 1, 0);
      EXPECT_EQ(y[0], 0) << target;
      EXPECT_EQ(std::signbit(y[0]), op != Ew::neg_) << target << " " << static_cast<int>(op);
    }
  });
}

TEST(MathAccuracy, Pow) {
  std::vector<float> a, b;
  const float edges[] = {0.f,        -0.f,       1.f,         -1.f,     2.f,       -2.f,
                         0.5f,       -0.5f,      3.f,         -3.f,     2.5f,      -7.5f,
                         1e30f,      -1e30f,     1e-30f,      INFINITY, -INFINITY, NAN,
                         16777216.f, 16777215.f, -16777215.f, 1e-45f,   33.f,      -33.f};
  for (float u : edges)
    for (float v : edges) a.push_back(u), b.push_back(v);
  std::mt19937 rng(5);
  std::uniform_real_distribution<float> dx(-6, 6), dy(-30, 30);
  for (int i = 0; i < 100000; ++i) a.push_back(std::exp(dx(rng))), b.push_back(dy(rng));
  std::vector<float> y(a.size());
  on_each_target([&](const char* target) {
    float_loop(Ew::pow_, a.data(), b.data(), y.data(), static_cast<int64_t>(a.size()), 0);
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_LE(ulp_error(y[i], std::pow(double{a[i]}, double{b[i]})), 0.51)
          << "pow(" << a[i] << ", " << b[i] << ") = " << y[i] << " on " << target;
  });
}

TEST(MathAccuracy, DoubleFunctions) {
  std::vector<double> x;
  std::mt19937_64 rng(7);
  for (int i = 0; i < 60000; ++i) {
    const double v = std::bit_cast<double>(rng());
    if (std::isfinite(v)) x.push_back(v);
  }
  for (double v = -40; v <= 40; v += 0.0013) x.push_back(v);
  for (double v :
       {0., -0., 1., -1., double(INFINITY), double(-INFINITY), double(NAN), 5e-324, 709.78})
    x.push_back(v);
  std::vector<double> y(x.size());
  struct {
    Ew op;
    const char* name;
    long double (*exact)(long double);
    double bound;
  } functions[] = {
      {Ew::exp_, "exp", std::exp, 1},
      {Ew::expm1_, "expm1", std::expm1, 2},
      {Ew::log_, "log", std::log, 1},
      {Ew::log1p_, "log1p", std::log1p, 1.5},
      {Ew::tanh_, "tanh", std::tanh, 2},
      {Ew::sigmoid_, "sigmoid", [](long double v) { return 1 / (1 + std::exp(-v)); }, 2},
  };
  for (const auto& f : functions) {
    on_each_target([&](const char* target) {
      float_loop(f.op, x.data(), nullptr, y.data(), static_cast<int64_t>(x.size()), 0);
      double worst = 0;
      size_t at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const long double want = f.exact(x[i]);
        double e = 0;
        if (std::isnan(want) || std::isinf(static_cast<double>(want))) {
          e = std::isnan(want) == std::isnan(y[i]) &&
                      (std::isnan(want) || y[i] == static_cast<double>(want))
                  ? 0
                  : 1e30;
        } else {
          int exponent;
          std::frexp(std::max(std::fabs(static_cast<double>(want)), 0x1p-1022), &exponent);
          e = static_cast<double>(std::fabs(y[i] - want) / std::ldexp(1.0L, exponent - 53));
        }
        if (e > worst) worst = e, at = i;
      }
      EXPECT_LE(worst, f.bound) << f.name << "(" << x[at] << ") = " << y[at] << " on " << target;
    });
  }
}

}  // namespace
}  // namespace nacre::cpu
