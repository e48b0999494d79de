#include <numbers>
#include <thread>

#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

using Matrix = std::vector<double>;

Matrix multiply(const Matrix& a, const Matrix& b, int64_t m, int64_t k, int64_t n) {
  Matrix c(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t p = 0; p < k; ++p)
        c[static_cast<size_t>(i * n + j)] +=
            a[static_cast<size_t>(i * k + p)] * b[static_cast<size_t>(p * n + j)];
  return c;
}

Matrix transposed(const Matrix& a, int64_t m, int64_t n) {
  Matrix t(a.size());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      t[static_cast<size_t>(j * m + i)] = a[static_cast<size_t>(i * n + j)];
  return t;
}

Matrix identity(int64_t n) {
  Matrix e(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) e[static_cast<size_t>(i * n + i)] = 1;
  return e;
}

Matrix part(const Data& d, int64_t i, int64_t size) {
  Matrix m;
  for (int64_t k = 0; k < size; ++k) m.push_back(d[i * size + k]);
  return m;
}

void expect_close(const Matrix& got, const Matrix& want, double tolerance, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double scale = 1;
  for (double w : want) scale = std::max(scale, std::fabs(w));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance * scale) << what << " entry " << i;
}

// A batch of symmetric matrices A At + n I.
Data positive(Random& r, DType t, const Shape& batch, int64_t n) {
  Shape shape = batch;
  shape.push_back(n);
  shape.push_back(n);
  Data d = random(r, DType::f64, shape);
  for (int64_t i = 0; i < batch.numel(); ++i) {
    const Matrix a = part(d, i, n * n);
    const Matrix s = multiply(a, transposed(a, n, n), n, n, n);
    for (int64_t k = 0; k < n * n; ++k)
      d.set(i * n * n + k, s[static_cast<size_t>(k)] + (k % (n + 1) ? 0 : static_cast<double>(n)));
  }
  return from(t, shape, d.values());
}

class LinalgTest : public ::testing::TestWithParam<DType> {
 protected:
  std::vector<Data> run_one(const std::unique_ptr<Kernel>& kernel,
                            const std::vector<const Data*>& in, const std::vector<Shape>& shapes) {
    std::vector<Data> out;
    for (const Shape& s : shapes) out.push_back(empty(GetParam(), s));
    EXPECT_NE(kernel, nullptr);
    if (kernel) run(*kernel, in, out);
    return out;
  }
  double tolerance(int64_t n) const {
    return 200 * static_cast<double>(n + 1) * epsilon(GetParam());
  }
  Shape batch(Random& r) const {
    const int64_t kind = draw(r, 0, 3);
    return kind == 0 ? Shape{} : kind == 1 ? Shape{1} : kind == 2 ? Shape{5} : Shape{2, 3};
  }
  static Shape with(Shape s, std::initializer_list<int64_t> more) {
    for (int64_t d : more) s.push_back(d);
    return s;
  }
};

TEST_P(LinalgTest, SymmetricMatrices) {
  const DType t = GetParam();
  Random r(61);
  for (int trial = 0; trial < 40; ++trial) {
    const int64_t n = draw(r, 1, trial % 8 ? 9 : 40);
    const Shape b = batch(r);
    const Data a = positive(r, t, b, n);
    // Only the lower triangle may be read.
    Data half = from(t, a.op.shape, a.values());
    for (int64_t i = 0; i < a.op.numel(); ++i)
      if (i % n > i / n % n) half.set(i, 99);
    const auto l = run_one(make_cholesky(operands({&half}), {}), {&half}, {a.op.shape});
    const auto eigen =
        run_one(make_eigh(operands({&half}), {}), {&half}, {with(b, {n}), a.op.shape});
    for (int64_t i = 0; i < b.numel(); ++i) {
      const Matrix want = part(a, i, n * n), f = part(l[0], i, n * n);
      for (int64_t row = 0; row < n; ++row)
        for (int64_t c = row + 1; c < n; ++c) ASSERT_EQ(f[static_cast<size_t>(row * n + c)], 0);
      expect_close(multiply(f, transposed(f, n, n), n, n, n), want, tolerance(n), "cholesky");
      const Matrix w = part(eigen[0], i, n), v = part(eigen[1], i, n * n);
      Matrix scaled = v;
      for (int64_t k = 0; k < n * n; ++k)
        scaled[static_cast<size_t>(k)] *= w[static_cast<size_t>(k % n)];
      for (size_t k = 1; k < w.size(); ++k) ASSERT_LE(w[k - 1], w[k]);
      expect_close(multiply(scaled, transposed(v, n, n), n, n, n), want, tolerance(n), "eigh");
      expect_close(multiply(transposed(v, n, n), v, n, n, n), identity(n), tolerance(n), "vectors");
    }
  }
}

TEST_P(LinalgTest, SquareSystems) {
  const DType t = GetParam();
  Random r(62);
  for (int trial = 0; trial < 40; ++trial) {
    const int64_t n = draw(r, 1, trial % 8 ? 8 : 40), k = draw(r, 1, 5);
    const Shape b = batch(r);
    Data a = random(r, t, with(b, {n, n}));
    // Diagonally dominant in a permuted order: well conditioned, and pivoting matters.
    for (int64_t i = 0; i < b.numel(); ++i)
      for (int64_t row = 0; row < n; ++row)
        a.set(i * n * n + row * n + (row + 1) % n, 3.0 * static_cast<double>(n));
    const bool vector = trial % 2;
    const Data rhs = random(r, t, vector ? with(b, {n}) : with(b, {n, k}));
    const int64_t columns = vector ? 1 : k;
    const auto x = run_one(make_solve(operands({&a, &rhs}), {}), {&a, &rhs}, {rhs.op.shape});
    const auto inverse = run_one(make_inverse(operands({&a}), {}), {&a}, {a.op.shape});
    const auto det = run_one(make_det(operands({&a}), {}), {&a}, {b});
    const auto log = run_one(make_slogdet(operands({&a}), {}), {&a}, {b, b});
    const bool lower = draw(r, 0, 1), transpose = draw(r, 0, 1), unit = draw(r, 0, 1);
    Data small = random(r, t, a.op.shape);
    for (int64_t i = 0; i < small.op.numel(); ++i)
      small.set(i, i / n % n == i % n ? 2 + std::fabs(small[i])
                                      : 0.3 * small[i] / static_cast<double>(n));
    const auto y =
        run_one(make_triangular_solve(operands({&small, &rhs}), {}, lower, transpose, unit),
                {&small, &rhs}, {rhs.op.shape});
    for (int64_t i = 0; i < b.numel(); ++i) {
      const Matrix m = part(a, i, n * n), right = part(rhs, i, n * columns);
      expect_close(multiply(m, part(x[0], i, n * columns), n, n, columns), right, tolerance(n),
                   "solve");
      expect_close(multiply(m, part(inverse[0], i, n * n), n, n, n), identity(n), tolerance(n),
                   "inverse");
      // Determinant by elimination in double.
      Matrix e = m;
      double want = 1;
      for (int64_t c = 0; c < n; ++c) {
        int64_t pivot = c;
        for (int64_t row = c; row < n; ++row)
          if (std::fabs(e[static_cast<size_t>(row * n + c)]) >
              std::fabs(e[static_cast<size_t>(pivot * n + c)]))
            pivot = row;
        if (pivot != c) {
          want = -want;
          for (int64_t j = 0; j < n; ++j)
            std::swap(e[static_cast<size_t>(c * n + j)], e[static_cast<size_t>(pivot * n + j)]);
        }
        want *= e[static_cast<size_t>(c * n + c)];
        for (int64_t row = c + 1; row < n; ++row) {
          const double f = e[static_cast<size_t>(row * n + c)] / e[static_cast<size_t>(c * n + c)];
          for (int64_t j = c; j < n; ++j)
            e[static_cast<size_t>(row * n + j)] -= f * e[static_cast<size_t>(c * n + j)];
        }
      }
      if (std::fabs(want) < 1e30) {
        EXPECT_NEAR(det[0][i] / want, 1, tolerance(n));
      }
      EXPECT_EQ(log[0][i], want < 0 ? -1 : 1);
      EXPECT_NEAR(log[1][i], std::log(std::fabs(want)),
                  tolerance(n) * std::max(1.0, std::fabs(std::log(std::fabs(want)))));
      Matrix triangle = part(small, i, n * n);
      for (int64_t p = 0; p < n * n; ++p) {
        const int64_t row = p / n, c = p % n;
        if (lower ? c > row : c < row) triangle[static_cast<size_t>(p)] = 0;
        if (c == row && unit) triangle[static_cast<size_t>(p)] = 1;
      }
      if (transpose) triangle = transposed(triangle, n, n);
      expect_close(multiply(triangle, part(y[0], i, n * columns), n, n, columns), right,
                   tolerance(n), "triangular_solve");
    }
  }
}

TEST_P(LinalgTest, RectangularMatrices) {
  const DType t = GetParam();
  Random r(63);
  for (int trial = 0; trial < 40; ++trial) {
    const int64_t m = draw(r, 1, trial % 8 ? 8 : 50), n = draw(r, 1, trial % 8 ? 8 : 30);
    const int64_t k = std::min(m, n);
    const Shape b = batch(r);
    const Data a = random(r, t, with(b, {m, n}));
    const auto svd = run_one(make_svd(operands({&a}), {}), {&a},
                             {with(b, {m, k}), with(b, {k}), with(b, {k, n})});
    const auto qr = run_one(make_qr(operands({&a}), {}), {&a}, {with(b, {m, k}), with(b, {k, n})});
    for (int64_t i = 0; i < b.numel(); ++i) {
      const Matrix want = part(a, i, m * n);
      Matrix u = part(svd[0], i, m * k), s = part(svd[1], i, k), vh = part(svd[2], i, k * n);
      const double tol = tolerance(std::max(m, n));
      expect_close(multiply(transposed(u, m, k), u, k, m, k), identity(k), tol, "u");
      expect_close(multiply(vh, transposed(vh, k, n), k, n, k), identity(k), tol, "vh");
      for (size_t j = 0; j < s.size(); ++j) ASSERT_GE(s[j], j + 1 < s.size() ? s[j + 1] : 0);
      for (size_t j = 0; j < u.size(); ++j) u[j] *= s[j % static_cast<size_t>(k)];
      expect_close(multiply(u, vh, m, k, n), want, tol, "svd");
      const Matrix q = part(qr[0], i, m * k), upper = part(qr[1], i, k * n);
      expect_close(multiply(transposed(q, m, k), q, k, m, k), identity(k), tol, "q");
      expect_close(multiply(q, upper, m, k, n), want, tol, "qr");
      for (int64_t row = 0; row < k; ++row)
        for (int64_t c = 0; c < row; ++c) ASSERT_EQ(upper[static_cast<size_t>(row * n + c)], 0);
    }
  }
}

TEST_P(LinalgTest, BadMatricesAreErrorsThatNameTheMatrix) {
  const DType t = GetParam();
  const Data singular = from(t, {2, 2, 2}, {1, 0, 0, 1, 1, 2, 2, 4});
  const Data indefinite = from(t, {2, 2}, {1, 2, 2, 1}), rhs = from(t, {2, 2}, {1, 1, 1, 1});
  const Data nan = from(t, {2, 2}, {1, NAN, NAN, 1}), triangle = from(t, {2, 2}, {1, 0, 5, 0});
  const Data one = from(t, {2}, {1, 1});
  const auto message = [&](const std::unique_ptr<Kernel>& k, const std::vector<const Data*>& in,
                           const std::vector<Shape>& shapes) {
    try {
      run_one(k, in, shapes);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::numeric);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message(make_solve(operands({&singular, &rhs}), {}), {&singular, &rhs}, {{2, 2}}),
            "[solve] matrix 1 is singular (pivot 1 is zero)");
  EXPECT_EQ(message(make_inverse(operands({&singular}), {}), {&singular}, {{2, 2, 2}}),
            "[inverse] matrix 1 is singular (pivot 1 is zero)");
  EXPECT_EQ(message(make_cholesky(operands({&indefinite}), {}), {&indefinite}, {{2, 2}}),
            "[cholesky] matrix 0 is not positive definite (leading minor of order 2)");
  EXPECT_EQ(message(make_eigh(operands({&nan}), {}), {&nan}, {{2}, {2, 2}}),
            "[eigh] matrix 0 contains NaN or infinity");
  EXPECT_EQ(message(make_svd(operands({&nan}), {}), {&nan}, {{2, 2}, {2}, {2, 2}}),
            "[svd] matrix 0 contains NaN or infinity");
  EXPECT_EQ(message(make_triangular_solve(operands({&triangle, &one}), {}, true, false, false),
                    {&triangle, &one}, {{2}}),
            "[triangular_solve] matrix 0 is singular (diagonal entry 1 is zero)");
  const auto det = run_one(make_det(operands({&singular}), {}), {&singular}, {{2}});
  EXPECT_EQ(det[0].values(), (std::vector<double>{1, 0}));
  const auto log = run_one(make_slogdet(operands({&singular}), {}), {&singular}, {{2}, {2}});
  EXPECT_EQ(log[0].values(), (std::vector<double>{1, 0}));
  EXPECT_EQ(log[1].values(), (std::vector<double>{0, -INFINITY}));
}

INSTANTIATE_TEST_SUITE_P(Types, LinalgTest, ::testing::Values(DType::f32, DType::f64),
                         [](const auto& i) { return std::string(name_of(i.param)); });

class FftTest : public ::testing::TestWithParam<DType> {};

// The definition, with exact reduction of the angle.
Matrix dft(const Matrix& x, int64_t n, double sign) {
  Matrix y(x.size());
  for (int64_t k = 0; k < n; ++k)
    for (int64_t j = 0; j < n; ++j) {
      const double angle =
          sign * 2 * std::numbers::pi * static_cast<double>(k * j % n) / static_cast<double>(n);
      const double re = x[static_cast<size_t>(2 * j)], im = x[static_cast<size_t>(2 * j + 1)];
      y[static_cast<size_t>(2 * k)] += re * std::cos(angle) - im * std::sin(angle);
      y[static_cast<size_t>(2 * k + 1)] += re * std::sin(angle) + im * std::cos(angle);
    }
  return y;
}

TEST_P(FftTest, EveryLengthAgreesWithTheDefinition) {
  const DType t = GetParam();
  Random r(64);
  std::vector<int64_t> lengths{97, 121, 128, 210, 256, 343, 400, 509, 512};
  for (int64_t n = 1; n <= 40; ++n) lengths.push_back(n);
  for (const int64_t n : lengths) {
    const int64_t rows = draw(r, 1, 3), half = n / 2 + 1;
    const double tol = 40 * epsilon(t) * std::sqrt(static_cast<double>(n));
    const Data x = random(r, t, {rows, n, 2}), real = random(r, t, {rows, n});
    const Data spectrum = random(r, t, {rows, half, 2});
    std::vector<Data> forward, inverse, rfft, irfft;
    forward.push_back(empty(t, {rows, n, 2}));
    inverse.push_back(empty(t, {rows, n, 2}));
    rfft.push_back(empty(t, {rows, half, 2}));
    irfft.push_back(empty(t, {rows, n}));
    run(*make_fft_c2c(operands({&x}), outputs(forward), false), {&x}, forward);
    run(*make_fft_c2c(operands({&x}), outputs(inverse), true), {&x}, inverse);
    run(*make_rfft(operands({&real}), outputs(rfft)), {&real}, rfft);
    run(*make_irfft(operands({&spectrum}), outputs(irfft)), {&spectrum}, irfft);
    for (int64_t row = 0; row < rows; ++row) {
      const Matrix one = part(x, row, 2 * n);
      expect_close(part(forward[0], row, 2 * n), dft(one, n, -1), tol, "fft");
      Matrix back = dft(one, n, 1);
      for (double& v : back) v /= static_cast<double>(n);
      expect_close(part(inverse[0], row, 2 * n), back, tol, "inverse fft");
      Matrix complex;
      for (int64_t i = 0; i < n; ++i) complex.insert(complex.end(), {real[row * n + i], 0});
      Matrix want = dft(complex, n, -1);
      want.resize(static_cast<size_t>(2 * half));
      expect_close(part(rfft[0], row, 2 * half), want, tol, "rfft");
      Matrix full(static_cast<size_t>(2 * n));
      const Matrix s = part(spectrum, row, 2 * half);
      for (int64_t k = 0; k < n; ++k) {
        const int64_t from = k < half ? k : n - k;
        const bool lone = from == 0 || 2 * from == n;
        full[static_cast<size_t>(2 * k)] = s[static_cast<size_t>(2 * from)];
        full[static_cast<size_t>(2 * k + 1)] =
            lone ? 0 : (k < half ? 1 : -1) * s[static_cast<size_t>(2 * from + 1)];
      }
      const Matrix signal = dft(full, n, 1);
      Matrix wanted;
      for (int64_t i = 0; i < n; ++i)
        wanted.push_back(signal[static_cast<size_t>(2 * i)] / static_cast<double>(n));
      expect_close(part(irfft[0], row, n), wanted, tol, "irfft");
    }
  }
}

TEST_P(FftTest, ManyThreadsShareOnePlan) {
  const DType t = GetParam();
  Random r(65);
  for (const int64_t n : {480, 97}) {
    const Data x = random(r, t, {8, n, 2});
    std::vector<Data> first;
    first.push_back(empty(t, {8, n, 2}));
    const auto kernel = make_fft_c2c(operands({&x}), outputs(first), false);
    run(*kernel, {&x}, first);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) {
          std::vector<Data> out;
          out.push_back(empty(t, {8, n, 2}));
          run(*kernel, {&x}, out);
          expect_near(out[0], first[0].values(), 0, "concurrent");
        }
      });
    for (auto& thread : threads) thread.join();
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FftTest, ::testing::Values(DType::f32, DType::f64),
                         [](const auto& i) { return std::string(name_of(i.param)); });

}  // namespace
}  // namespace nacre::cpu::test
