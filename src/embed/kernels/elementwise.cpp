// Functions of single values and of pairs, each a kernel of its own, and select.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "embed/kernels/rows.h"

namespace nacre::embed {
namespace {

template <size_t N>
constexpr int64_t place_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) - std::begin(names);
}

void check_unary(Check& c) {
  c.need(1, 1);
  c.ensure(c.x(0) == c.y());
}
template <typename F>
void run_unary(const Call& c, F f) {
  const float* x = c.x(0);
  float* y = c.y();
  const int64_t n = c.size();
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

void check_pairs(Check& c) {
  const bool three = c.step.op == Op::select;
  c.need(three ? 3 : 2, three ? 0 : 1);
  for (size_t k = 0; k < c.step.in.size(); ++k)
    c.ensure(broadcast(c.x(k), c.y(), c.step.strides[k]));
}
template <typename F>
void run_binary(const Call& c, F f) {
  pairs(c.step.sizes, c.x(0), c.step.strides[0], c.x(1), c.step.strides[1], c.y(), f);
}

void select(Sizes sizes, const float* c, Sizes cs, const float* a, Sizes as, const float* b,
            Sizes bs, float* y) {
  pairs(sizes, c, cs, b, bs, y, [](float p, float q) { return p != 0 ? 0.0f : q; });
  // Where the condition holds, a.
  int64_t at[16] = {}, pa = 0;
  for_rows(sizes, cs, [&](int64_t pc, int64_t py, int64_t n) {
    const int64_t dc = sizes.empty() ? 0 : cs.back(), da = sizes.empty() ? 0 : as.back();
    for (int64_t i = 0; i < n; ++i)
      if (c[pc + i * dc] != 0) y[py + i] = a[pa + i * da];
    for (size_t d = sizes.empty() ? 0 : sizes.size() - 1; d-- > 0;) {
      pa += as[d];
      if (++at[d] < sizes[d]) break;
      pa -= as[d] * sizes[d];
      at[d] = 0;
    }
  });
}
void run_select(const Call& c) {
  const Step& s = c.step;
  select(s.sizes, c.x(0), s.strides[0], c.x(1), s.strides[1], c.x(2), s.strides[2], c.y());
}

}  // namespace

#define UNARY(name, value)                             \
  extern const Kernel kernel_unary_##name = {          \
      Op::unary, place_of(kUnary, #name), check_unary, \
      [](const Call& c) { run_unary(c, [](float v) -> float { return value; }); }};
#define BINARY(name, value)                              \
  extern const Kernel kernel_binary_##name = {           \
      Op::binary, place_of(kBinary, #name), check_pairs, \
      [](const Call& c) { run_binary(c, [](float p, float q) -> float { return value; }); }};

// clang-format off
UNARY(neg, -v)
UNARY(abs, std::fabs(v))
UNARY(relu, v > 0 ? v : v == v ? 0 : v)
UNARY(sigmoid, 1 / (1 + std::exp(-v)))
UNARY(tanh, std::tanh(v))
UNARY(exp, std::exp(v))
UNARY(log, std::log(v))
UNARY(sqrt, std::sqrt(v))
UNARY(rsqrt, 1 / std::sqrt(v))
UNARY(square, v * v)
UNARY(reciprocal, 1 / v)
UNARY(erf, std::erf(v))
UNARY(floor, std::floor(v))
UNARY(ceil, std::ceil(v))
UNARY(round, std::nearbyint(v))
UNARY(trunc, std::trunc(v))
UNARY(sign, (v > 0) ? 1.0f : (v < 0) ? -1.0f : v)
UNARY(sin, std::sin(v))
UNARY(cos, std::cos(v))
UNARY(softplus, std::max(v, 0.0f) + std::log1p(std::exp(-std::fabs(v))))
UNARY(log1p, std::log1p(v))
UNARY(expm1, std::expm1(v))
UNARY(logical_not, v == 0 ? 1.0f : 0.0f)
UNARY(to_integer, std::trunc(v))
UNARY(to_boolean, v != 0 ? 1.0f : 0.0f)
UNARY(erfc, std::erfc(v))

BINARY(add, p + q)
BINARY(sub, p - q)
BINARY(mul, p * q)
BINARY(div, p / q)
BINARY(maximum, p != p || p > q ? p : q)
BINARY(minimum, p != p || p < q ? p : q)
BINARY(pow, std::pow(p, q))
BINARY(eq, p == q ? 1.0f : 0.0f)
BINARY(ne, p != q ? 1.0f : 0.0f)
BINARY(lt, p < q ? 1.0f : 0.0f)
BINARY(le, p <= q ? 1.0f : 0.0f)
BINARY(gt, p > q ? 1.0f : 0.0f)
BINARY(ge, p >= q ? 1.0f : 0.0f)
BINARY(logical_and, p != 0 && q != 0 ? 1.0f : 0.0f)
BINARY(logical_or, p != 0 || q != 0 ? 1.0f : 0.0f)
// clang-format on

extern const Kernel kernel_select = {Op::select, 0, check_pairs, run_select};

}  // namespace nacre::embed
