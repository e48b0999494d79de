#include <algorithm>
#include <numeric>

#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

// The elements of a dense tensor as rows along `dim`: position(row, i).
struct Rows {
  int64_t count, size, inner;
  Rows(const Shape& s, int64_t dim)
      : count(s.slice(0, dim).numel() * s.slice(dim + 1, s.rank()).numel()),
        size(s[dim]),
        inner(s.slice(dim + 1, s.rank()).numel()) {}
  int64_t position(int64_t row, int64_t i, int64_t of) const {
    return (row / inner * of + i) * inner + row % inner;
  }
};

// NaN is above everything.
bool below(double a, double b) {
  if (std::isnan(a)) return false;
  return std::isnan(b) || a < b;
}

Data with_ties(Random& r, DType t, const Shape& shape, bool special) {
  Data x = random(r, t, shape);
  if (!is_float(t)) return x;
  for (int64_t i = 0; i < x.op.numel(); ++i) {
    const int64_t kind = draw(r, 0, 7);
    if (kind < 3) x.set(i, static_cast<double>(draw(r, -2, 2)));
    if (kind == 3) x.set(i, -0.0);
    if (special && kind == 4) x.set(i, draw(r, 0, 1) ? NAN : -INFINITY);
  }
  return x;
}

class OrderTest : public ::testing::TestWithParam<DType> {};

TEST_P(OrderTest, SortIsStable) {
  const DType t = GetParam();
  Random r(31);
  for (int trial = 0; trial < 80; ++trial) {
    Shape shape;
    for (int64_t rank = draw(r, 1, 3); rank > 0; --rank) shape.push_back(draw(r, 0, 8));
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    if (trial % 5 == 0) shape[dim] = draw(r, 200, 700);
    const bool descending = trial % 2;
    const int64_t k = trial % 3 ? shape[dim] : draw(r, 0, shape[dim]);
    const Data x = with_ties(r, t, shape, true);
    Shape to = shape;
    to[dim] = k;
    std::vector<Data> out;
    out.push_back(empty(t, to));
    out.push_back(empty(DType::i64, to));
    run(*make_topk(operands({&x}), outputs(out), dim, descending), {&x}, out);
    const Rows rows(shape, dim);
    for (int64_t row = 0; row < rows.count; ++row) {
      std::vector<int64_t> order(static_cast<size_t>(rows.size));
      std::iota(order.begin(), order.end(), 0);
      const auto value = [&](int64_t i) { return x[rows.position(row, i, rows.size)]; };
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return descending ? below(value(b), value(a)) : below(value(a), value(b));
      });
      for (int64_t i = 0; i < k; ++i) {
        const int64_t at = rows.position(row, i, k), want = order[static_cast<size_t>(i)];
        ASSERT_EQ(out[1][at], want) << shape.str() << " dim " << dim << " row " << row;
        const double got = out[0][at];
        ASSERT_TRUE(got == value(want) || (std::isnan(got) && std::isnan(value(want))));
      }
    }
  }
}

TEST_P(OrderTest, ArgFindsTheFirstExtreme) {
  const DType t = GetParam();
  Random r(32);
  for (int trial = 0; trial < 60; ++trial) {
    Shape shape;
    for (int64_t rank = draw(r, 1, 3); rank > 0; --rank) shape.push_back(draw(r, 1, 90));
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    if (shape.numel() > 20000) continue;
    const Data x = with_ties(r, t, shape, trial % 4 == 0);
    Shape to = shape;
    to[dim] = 1;
    for (const bool largest : {true, false}) {
      std::vector<Data> out;
      out.push_back(empty(DType::i64, to));
      run(*make_arg(operands({&x}), outputs(out), dim, largest), {&x}, out);
      const Rows rows(shape, dim);
      for (int64_t row = 0; row < rows.count; ++row) {
        int64_t best = 0;
        for (int64_t i = 1; i < rows.size; ++i) {
          const double v = x[rows.position(row, i, rows.size)];
          const double b = x[rows.position(row, best, rows.size)];
          if (std::isnan(b)) break;
          if (std::isnan(v) || (largest ? v > b : v < b)) best = i;
        }
        ASSERT_EQ(out[0][row], best) << shape.str() << " dim " << dim;
      }
    }
  }
}

TEST_P(OrderTest, CumulativeSumsAndProducts) {
  const DType t = GetParam();
  Random r(33);
  for (int trial = 0; trial < 60; ++trial) {
    Shape shape;
    for (int64_t rank = draw(r, 1, 3); rank > 0; --rank) shape.push_back(draw(r, 0, 70));
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    if (shape.numel() > 20000) continue;
    const bool product = trial % 2;
    if (product && shape[dim] > 6) shape[dim] = 6;
    const Data x = random(r, t, shape);
    std::vector<Data> out;
    out.push_back(empty(t, shape));
    run(*make_cumulative(operands({&x}), outputs(out), dim, product), {&x}, out);
    std::vector<double> want(static_cast<size_t>(shape.numel()));
    const Rows rows(shape, dim);
    for (int64_t row = 0; row < rows.count; ++row) {
      double sum = product;
      for (int64_t i = 0; i < rows.size; ++i) {
        const int64_t at = rows.position(row, i, rows.size);
        sum = product ? sum * x[at] : sum + x[at];
        want[static_cast<size_t>(at)] = sum;
        if (t == DType::i8)
          want[static_cast<size_t>(at)] = static_cast<int8_t>(static_cast<int64_t>(sum));
        if (t == DType::u8)
          want[static_cast<size_t>(at)] = static_cast<uint8_t>(static_cast<int64_t>(sum));
      }
    }
    expect_near(out[0], want, 4 * epsilon(t), cat({"cumulative ", shape, " dim ", dim}));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, OrderTest,
                         ::testing::Values(DType::f32, DType::f64, DType::bf16, DType::f16,
                                           DType::i32, DType::i64, DType::u8, DType::i8),
                         [](const auto& i) { return std::string(name_of(i.param)); });

TEST(Cumulative, FloatsKeepSmallTermsOfLongSums) {
  const int64_t n = 1 << 20;
  Data x = empty(DType::f32, {n});
  for (int64_t i = 0; i < n; ++i) x.set(i, 0.1f);
  std::vector<Data> out;
  out.push_back(empty(DType::f32, {n}));
  run(*make_cumulative(operands({&x}), outputs(out), 0, false), {&x}, out);
  EXPECT_NEAR(out[0][n - 1] / (static_cast<double>(0.1f) * n), 1, 1e-7);
}

}  // namespace
}  // namespace nacre::cpu::test
