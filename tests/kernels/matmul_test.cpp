#include <array>
#include <thread>

#include "backends/cpu/dnnl.h"
#include "kernels/helpers.h"
#include "nacre/error.h"
#include "nacre/shape.h"

namespace nacre::cpu::test {
namespace {

std::vector<double> product(const Data& a, const Data& b, const Shape& out) {
  const int64_t m = out[-2], n = out[-1], k = a.op.shape[-1];
  std::vector<double> c(static_cast<size_t>(out.numel()));
  const auto offset = [&](const Data& x, int64_t batch) {
    int64_t at = 0, size = 1;
    for (int64_t d = 3; d <= out.rank(); ++d) {
      const int64_t i = batch % out[-d];
      batch /= out[-d];
      if (d > x.op.shape.rank()) continue;
      if (x.op.shape[-d] != 1) at += i * size;
      size *= x.op.shape[-d];
    }
    return at * x.op.shape[-1] * x.op.shape[-2];
  };
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t batch = i / (m * n), row = i / n % m, col = i % n;
    const int64_t ao = offset(a, batch), bo = offset(b, batch);
    double sum = 0;
    for (int64_t p = 0; p < k; ++p) sum += a[ao + row * k + p] * b[bo + p * n + col];
    c[static_cast<size_t>(i)] = sum;
  }
  return c;
}

void check_product(Random& r, DType t, const Shape& a_shape, const Shape& b_shape, bool views) {
  const Data a = views ? random_view(r, t, a_shape) : random(r, t, a_shape);
  const Data b = views ? random_view(r, t, b_shape) : random(r, t, b_shape);
  Shape out =
      broadcast_shapes(a_shape.slice(0, a_shape.rank() - 2), b_shape.slice(0, b_shape.rank() - 2));
  out.push_back(a_shape[-2]);
  out.push_back(b_shape[-1]);
  std::vector<Data> c;
  c.push_back(empty(t, out));
  const auto kernel = make_matmul(operands({&a, &b}), outputs(c));
  ASSERT_NE(kernel, nullptr);
  EXPECT_EQ(kernel->description().find("ref"), std::string::npos) << kernel->description();
  run(*kernel, {&a, &b}, c);
  const double k = static_cast<double>(a_shape[-1]);
  const double tolerance =
      is_float(t) ? 4 * epsilon(t) + (8 * std::sqrt(k + 1) + k) * std::min(epsilon(t), 0x1p-24) : 0;
  expect_near(c[0], product(a, b, out), tolerance,
              cat({name_of(t), " ", a_shape, " (", a.op.strides.list(), ") by ", b_shape, " (",
                   b.op.strides.list(), "), ", kernel->description()}));
}

class MatmulTest : public ::testing::TestWithParam<DType> {};

TEST_P(MatmulTest, RandomShapesAndStridesAgreeWithLoops) {
  Random r(1);
  for (int trial = 0; trial < 120; ++trial) {
    const auto dim = [&] {
      return draw(r, 0, 9) == 0 ? 0 : draw(r, 0, 2) == 0 ? 1 : draw(r, 1, trial % 4 ? 20 : 70);
    };
    const int64_t m = dim(), k = dim(), n = dim();
    Shape a, b;
    const int64_t batch = draw(r, 0, 3);
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t size = draw(r, 1, 3), which = draw(r, 0, 3);
      if (which != 1 && !(i < 1 && which == 3))
        a.push_back(size);
      else if (!a.empty())
        a.push_back(1);
      if (which != 2)
        b.push_back(size);
      else if (!b.empty())
        b.push_back(1);
    }
    a.push_back(m);
    a.push_back(k);
    b.push_back(k);
    b.push_back(n);
    check_product(r, GetParam(), a, b, trial % 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, MatmulTest,
                         ::testing::Values(DType::f32, DType::f64, DType::bf16, DType::f16,
                                           DType::i32, DType::i64),
                         [](const auto& i) { return std::string(name_of(i.param)); });

TEST(Matmul, VectorsLargeEnoughForManyThreads) {
  Random r(4);
  const auto check = [&](const Shape& a, const Shape& b) {
    check_product(r, DType::f32, a, b, false);
    for (int trial = 0; trial < 4; ++trial) check_product(r, DType::f32, a, b, true);
  };
  check({1, 301}, {301, 290});
  check({300, 257}, {257, 1});
  check({7, 1, 64}, {7, 64, 100});
  check({5, 90, 33}, {33, 1});
  check({1, 1000}, {1000, 1});
}

/// Random numbers in rows, or in columns.
Data random_matrix(Random& r, int64_t rows, int64_t columns, bool transposed) {
  if (!transposed) return random(r, DType::f32, {rows, columns});
  Data d = random(r, DType::f32, {columns, rows});
  std::swap(d.op.shape[0], d.op.shape[1]);
  std::swap(d.op.strides[0], d.op.strides[1]);
  return d;
}

TEST(Matmul, LargeOnesAreCutAmongThreads) {
  Random r(5);
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{256, 300, 259}, {403, 256, 261}})
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true}) {
        const Data a = random_matrix(r, m, k, a_transposed),
                   b = random_matrix(r, k, n, b_transposed);
        std::vector<Data> c;
        c.push_back(empty(DType::f32, {m, n}));
        const auto kernel = make_matmul(operands({&a, &b}), outputs(c));
        EXPECT_EQ(kernel->description() == "dnnl:sgemm", dnnl::channel_block() == 16);
        run(*kernel, {&a, &b}, c);
        // A sum of 300 products reaches some 40, which f32 holds to 2e-6, and rounds 300 times.
        expect_near(c[0], product(a, b, {m, n}), 6e-5,
                    cat({m, " ", k, " ", n, " ", a_transposed, b_transposed}));
      }
}

TEST(Matmul, TransposedOperandsOfLinearLayersNeedNoCopy) {
  Random r(2);
  const Data a = random_matrix(r, 24, 40, true), b = random_matrix(r, 40, 32, true);
  std::vector<Data> c;
  c.push_back(empty(DType::f32, {24, 32}));
  const auto kernel = make_matmul(operands({&a, &b}), outputs(c));
  EXPECT_TRUE(kernel->description().starts_with("dnnl:")) << kernel->description();
  run(*kernel, {&a, &b}, c);
  expect_near(c[0], product(a, b, {24, 32}), 1e-5, "transposed");
}

TEST(Matmul, OneKernelServesManyThreads) {
  Random r(3);
  for (const DType t : {DType::f32, DType::f64}) {
    const Data a = random(r, t, {3, 50, 60}), b = random(r, t, {3, 60, 70});
    std::vector<Data> first;
    first.push_back(empty(t, {3, 50, 70}));
    const auto kernel = make_matmul(operands({&a, &b}), outputs(first));
    run(*kernel, {&a, &b}, first);
    const auto want = first[0].values();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) {
          std::vector<Data> c;
          c.push_back(empty(t, {3, 50, 70}));
          run(*kernel, {&a, &b}, c);
          expect_near(c[0], want, 0, "concurrent");
        }
      });
    for (auto& thread : threads) thread.join();
  }
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

// With each of what may follow a product, on operands as they are recorded and with b kept packed.
TEST(Matmul, BiasResidualAndGelu) {
  Random r(21);
  int fused = 0;
  for (int trial = 0; trial < 48; ++trial) {
    const bool bias = trial & 1, residual = trial & 2, gelus = trial & 4;
    const int64_t m = draw(r, 2, 70), n = draw(r, 2, 90), k = draw(r, 1, 80);
    const Shape lead = trial % 3 == 2 ? Shape{3} : Shape{};
    const auto in_batch = [&](int64_t rows, int64_t cols) {
      Shape s = lead;
      s.push_back(rows);
      s.push_back(cols);
      return s;
    };
    const Data a = random(r, DType::f32, in_batch(m, k));
    Data b = random(r, DType::f32, trial % 5 ? Shape{k, n} : Shape{n, k});
    if (trial % 5 == 0) {  // stored transposed
      b.op.shape = {k, n};
      b.op.strides = {1, k};
    }
    const Data row = random(r, DType::f32, {n}), more = random(r, DType::f32, in_batch(m, n));
    std::vector<const Data*> in = {&a, &b};
    if (bias) in.push_back(&row);
    if (residual) in.push_back(&more);
    std::vector<Data> out;
    out.push_back(empty(DType::f32, in_batch(m, n)));
    std::vector<double> want(static_cast<size_t>(out[0].op.numel()));
    for (size_t at = 0; at < want.size(); ++at) {
      const auto i = static_cast<int64_t>(at) / n, j = static_cast<int64_t>(at) % n;
      double s = bias ? row[j] : 0;
      for (int64_t p = 0; p < k; ++p) s += a[i * k + p] * b[p * n + j];
      if (residual) s += more[static_cast<int64_t>(at)];
      want[at] = gelus ? gelu(s) : s;
    }
    const auto kernel = make_matmul_fused(operands(in), outputs(out), bias, residual, gelus);
    if (!kernel) continue;
    ++fused;
    const std::string what = kernel->description() + " trial " + std::to_string(trial);
    run(*kernel, in, out);
    expect_near(out[0], want, 20 * std::sqrt(static_cast<double>(k)) * epsilon(DType::f32), what);
    if (const auto packed = kernel->with_constant(1, b.first())) {
      std::memset(out[0].memory.data(), 0, out[0].memory.bytes());
      run(*packed, in, out);
      expect_near(out[0], want, 20 * std::sqrt(static_cast<double>(k)) * epsilon(DType::f32),
                  what + ", packed");
    }
  }
  EXPECT_EQ(fused, 48);
}

// What is not finite stays so.
TEST(Matmul, GeluOfNaNAndInfinity) {
  const Data a = from(DType::f32, {2, 2}, {NAN, 1, INFINITY, 1}),
             b = from(DType::f32, {2, 2}, {1, 1, 1, 1});
  std::vector<Data> out;
  out.push_back(empty(DType::f32, {2, 2}));
  const auto kernel = make_matmul_fused(operands({&a, &b}), outputs(out), false, false, true);
  ASSERT_TRUE(kernel);
  run(*kernel, {&a, &b}, out);
  EXPECT_TRUE(std::isnan(out[0][0]));
  EXPECT_EQ(out[0][2], INFINITY);
}

}  // namespace
}  // namespace nacre::cpu::test
