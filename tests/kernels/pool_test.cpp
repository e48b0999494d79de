#include <limits>

#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

struct PoolCase {
  Shape x, y;
  PoolAttrs attrs;
};

PoolCase random_case(Random& r, int64_t rank) {
  for (;;) {
    PoolCase c;
    c.x = {draw(r, 0, 2), draw(r, 1, 3)};
    c.y = c.x;
    c.attrs.include_pad = draw(r, 0, 1);
    bool valid = true;
    for (int64_t i = 0; i < rank; ++i) {
      const int64_t size = draw(r, 1, 9), k = draw(r, 1, 4), stride = draw(r, 1, 3);
      const int64_t dilation = draw(r, 1, 2), low = draw(r, 0, k / 2), high = draw(r, 0, k / 2);
      const int64_t room = size + low + high - (k - 1) * dilation - 1;
      valid = valid && room >= 0;
      c.x.push_back(size);
      c.y.push_back(room / stride + 1);
      c.attrs.kernel.push_back(k);
      c.attrs.stride.push_back(stride);
      c.attrs.dilation.push_back(dilation);
      c.attrs.pad_low.push_back(low);
    }
    if (valid) return c;
  }
}

// Calls f(x, y, position in the plane) for every pair of an output and an input in its window.
template <typename F>
void each_pair(const PoolCase& c, F f) {
  const int64_t rank = c.attrs.kernel.rank();
  const Shape s = c.x.slice(2, c.x.rank()), t = c.y.slice(2, c.y.rank());
  for (int64_t y = 0; y < c.y.numel(); ++y)
    for (int64_t tap = 0; tap < c.attrs.kernel.numel(); ++tap) {
      int64_t rest = y % t.numel(), k = tap, at = 0, step = 1;
      bool inside = true;
      for (int64_t d = rank; d-- > 0;) {
        const int64_t i = rest % t[d] * c.attrs.stride[d] - c.attrs.pad_low[d] +
                          k % c.attrs.kernel[d] * c.attrs.dilation[d];
        inside = inside && i >= 0 && i < s[d];
        at += i * step;
        step *= s[d];
        rest /= t[d];
        k /= c.attrs.kernel[d];
      }
      if (inside) f(y / t.numel() * s.numel() + at, y, at);
    }
}

class PoolTest : public ::testing::TestWithParam<DType> {};

TEST_P(PoolTest, RandomCasesAgreeWithLoops) {
  const DType t = GetParam();
  Random r(21);
  for (int trial = 0; trial < 90; ++trial) {
    const PoolCase c = random_case(r, 1 + trial % 3);
    const Data x = random(r, t, c.x), dy = random(r, t, c.y);
    const auto outputs_count = static_cast<size_t>(c.y.numel());
    std::vector<double> best(outputs_count, -INFINITY), index(outputs_count, -1);
    std::vector<double> sum(outputs_count), count(outputs_count);
    std::vector<double> dx(static_cast<size_t>(c.x.numel()));
    each_pair(c, [&](int64_t xi, int64_t yi, int64_t at) {
      const auto y = static_cast<size_t>(yi);
      if (x[xi] > best[y]) best[y] = x[xi], index[y] = static_cast<double>(at);
      sum[y] += x[xi];
      ++count[y];
    });
    for (size_t y = 0; y < outputs_count; ++y) {
      if (c.attrs.include_pad) count[y] = static_cast<double>(c.attrs.kernel.numel());
      sum[y] = count[y] ? sum[y] / count[y] : 0;
    }
    each_pair(c, [&](int64_t xi, int64_t yi, int64_t) {
      dx[static_cast<size_t>(xi)] += dy[yi] / count[static_cast<size_t>(yi)];
    });

    std::vector<Data> out;
    out.push_back(empty(t, c.y));
    out.push_back(empty(DType::i64, c.y));
    run(*make_max_pool(operands({&x}), outputs(out), c.attrs), {&x}, out);
    expect_near(out[0], best, 0, "max_pool values");
    expect_near(out[1], index, 0, "max_pool indices");

    const double tolerance = 16 * epsilon(t);
    out.pop_back();
    run(*make_avg_pool(operands({&x}), outputs(out), c.attrs), {&x}, out);
    expect_near(out[0], sum, tolerance, "avg_pool");

    std::vector<Data> grad;
    grad.push_back(empty(t, c.x));
    run(*make_avg_pool_grad(operands({&dy}), outputs(grad), c.attrs), {&dy}, grad);
    expect_near(grad[0], dx, tolerance, "avg_pool_grad");
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PoolTest,
                         ::testing::Values(DType::f32, DType::f64, DType::bf16, DType::f16),
                         [](const auto& i) { return std::string(name_of(i.param)); });

TEST(MaxPool, NanAndMinusInfinity) {
  const double inf = INFINITY;
  const Data x = from(DType::f32, {1, 1, 6}, {1, NAN, 3, -inf, -inf, -inf});
  std::vector<Data> out;
  out.push_back(empty(DType::f32, {1, 1, 2}));
  out.push_back(empty(DType::i64, {1, 1, 2}));
  run(*make_max_pool(operands({&x}), outputs(out), {{3}, {3}, {1}, {0}, false}), {&x}, out);
  EXPECT_TRUE(std::isnan(out[0][0]));
  EXPECT_EQ(out[1][0], 1);
  EXPECT_EQ(out[0][1], -inf);
  EXPECT_EQ(out[1][1], 3);
}

}  // namespace
}  // namespace nacre::cpu::test
