// Softmax, cross entropy and normalisation against formulas in double; gradients against central
// differences of the formulas.
#include "backends/cpu/norm/norm.h"

#include <gtest/gtest.h>

#include <functional>

#include "arrays.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

using nacre::test::Array;
using nacre::test::kFloats;
using nacre::test::random_array;
using nacre::test::Values;
using nacre::test::values;

double tolerance(DType t) {
  return t == DType::f64 ? 1e-12 : t == DType::f32 ? 4e-6 : t == DType::f16 ? 2e-3 : 1.6e-2;
}

void expect_near(const Array& got, const Values& want, double scale, const std::string& what) {
  ASSERT_EQ(static_cast<size_t>(got.numel()), want.size()) << what;
  double largest = 1;
  for (double w : want) largest = std::max(largest, std::fabs(w));
  for (int64_t i = 0; i < got.numel(); ++i)
    ASSERT_NEAR(got.at(i), want[static_cast<size_t>(i)], tolerance(got.dtype) * largest * scale)
        << what << " at " << i << " " << name_of(got.dtype);
}

std::vector<Operand> operands(const std::vector<Array>& list) {
  std::vector<Operand> all;
  for (const Array& a : list) all.push_back(a.operand());
  return all;
}

using NormMaker = std::function<std::unique_ptr<Kernel>(Operands, Operands)>;

std::vector<Array> evaluate(const NormMaker& make, const std::vector<Array>& in,
                            std::vector<Array> out) {
  const auto a = operands(in), b = operands(out);
  const auto kernel = make(a, b);
  if (!kernel) {
    ADD_FAILURE() << "no kernel";
    return out;
  }
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Array& x : in) from.push_back(x.bytes.data());
  for (Array& x : out) to.push_back(x.bytes.data());
  nacre::test::run(*kernel, from, to);
  return out;
}

/// Gradient of sum(dy * f(x)) with respect to x, by central differences.
Values numeric_grad(const std::function<Values(const Values&)>& f, Values x, const Values& dy) {
  Values grad;
  for (size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5;
    x[i] = at + h;
    const Values up = f(x);
    x[i] = at - h;
    const Values down = f(x);
    x[i] = at;
    double s = 0;
    for (size_t k = 0; k < dy.size(); ++k) s += dy[k] * (up[k] - down[k]);
    grad.push_back(s / (2 * h));
  }
  return grad;
}

Values softmax_of(const Values& x, int64_t outer, int64_t n, int64_t inner, bool log) {
  Values y(x.size());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const auto at = [&](int64_t k) { return static_cast<size_t>((o * n + k) * inner + i); };
      double m = -INFINITY, s = 0;
      for (int64_t k = 0; k < n; ++k) m = std::max(m, x[at(k)]);
      for (int64_t k = 0; k < n; ++k) s += std::exp(x[at(k)] - m);
      for (int64_t k = 0; k < n; ++k)
        y[at(k)] = log ? x[at(k)] - m - std::log(s) : std::exp(x[at(k)] - m) / s;
    }
  return y;
}

TEST(Norm, SoftmaxAndGradient) {
  struct {
    Shape shape;
    int64_t dim;
  } cases[] = {{{5, 7}, 1}, {{5, 7}, 0}, {{3, 17, 5}, 1}, {{2, 70}, 1}, {{2, 3, 300}, 1},
               {{1, 1}, 0}, {{}, 0},     {{0, 4}, 1},     {{4, 0}, 1},  {{33}, 0}};
  for (DType t : kFloats)
    for (const auto& c : cases)
      for (bool log : {false, true}) {
        const Array x = random_array(t, c.shape, 1, -9, 9), dy = random_array(t, c.shape, 2);
        int64_t outer = 1, n = 1, inner = 1;
        for (int64_t d = 0; d < c.shape.rank(); ++d)
          (d < c.dim ? outer : d == c.dim ? n : inner) *= c.shape[d];
        const auto f = [&](const Values& v) { return softmax_of(v, outer, n, inner, log); };
        const Array y =
            evaluate([&](Operands i, Operands o) { return make_softmax(i, o, c.dim, log); }, {x},
                     {Array(t, c.shape)})[0];
        expect_near(y, f(values(x)), 1, "softmax " + c.shape.str());
        const Array dx =
            evaluate([&](Operands i, Operands o) { return make_softmax_grad(i, o, c.dim, log); },
                     {y, dy}, {Array(t, c.shape)})[0];
        if (t == DType::f64 && x.numel() < 300)
          expect_near(dx, numeric_grad(f, values(x), values(dy)), 1e4,
                      "softmax_grad " + c.shape.str());
        // For the other types from their own (rounded) y.
        Values want;
        for (int64_t i = 0; i < x.numel(); ++i) {
          const int64_t o = i / (n * inner), r = i % inner;
          double s = 0;
          for (int64_t k = 0; k < n; ++k) {
            const int64_t at = (o * n + k) * inner + r;
            s += log ? dy.at(at) : y.at(at) * dy.at(at);
          }
          want.push_back(log ? dy.at(i) - std::exp(y.at(i)) * s : y.at(i) * (dy.at(i) - s));
        }
        expect_near(dx, want, 2, "softmax_grad " + c.shape.str());
      }
}

TEST(Norm, SoftmaxOfExtremeRows) {
  const Array x(DType::f32, {3, 4},
                {1e30, -1e30, 0, 1e30, -INFINITY, 0, -INFINITY, 0, 5, NAN, 1, 2});
  const Array y = evaluate([](Operands i, Operands o) { return make_softmax(i, o, 1, false); }, {x},
                           {Array(DType::f32, {3, 4})})[0];
  const double want[] = {0.5, 0, 0, 0.5, 0, 0.5, 0, 0.5};
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(y.at(i), want[i]) << i;
  for (int64_t i = 8; i < 12; ++i) EXPECT_TRUE(std::isnan(y.at(i)));
}

TEST(Norm, CrossEntropy) {
  for (DType t : kFloats)
    for (int64_t classes : {1, 3, 10, 70}) {
      const int64_t rows = 9;
      const Array x = random_array(t, {rows, classes}, 3, -6, 6),
                  dloss = random_array(t, {rows}, 4);
      Array target(DType::i64, {rows});
      for (int64_t i = 0; i < rows; ++i) target.set(i, static_cast<double>(i * 7 % classes));
      const auto f = [&](const Values& v) {
        const Values y = softmax_of(v, rows, classes, 1, true);
        Values loss;
        for (int64_t i = 0; i < rows; ++i)
          loss.push_back(-y[static_cast<size_t>(i * classes + target.as<int64_t>(i))]);
        return loss;
      };
      const auto out =
          evaluate(make_softmax_cross_entropy, {x, target}, {Array(t, {rows}), Array(t, {rows})});
      expect_near(out[0], f(values(x)), 1, "loss");
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t at = i * classes + target.as<int64_t>(i);
        EXPECT_NEAR(out[1].at(i), out[0].at(i) + x.at(at), tolerance(t) * 10);
      }
      const Array dx = evaluate(make_softmax_cross_entropy_grad, {x, target, out[1], dloss},
                                {Array(t, {rows, classes})})[0];
      expect_near(dx, numeric_grad(f, values(x), values(dloss)), t == DType::f64 ? 1e4 : 8, "grad");
    }
}

TEST(Norm, CrossEntropyRefusesTargetsThatAreNoClass) {
  const Array x(DType::f32, {2, 3});
  for (double bad : {-1.0, 3.0}) {
    const Array target(DType::i64, {2}, {0, bad});
    try {
      evaluate(make_softmax_cross_entropy, {x, target},
               {Array(DType::f32, {2}), Array(DType::f32, {2})});
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::data);
      EXPECT_NE(std::string(e.what()).find("of row 1"), std::string::npos) << e.what();
    }
  }
}

// y = (x - mean) rstd w + b in rows of n.
Values layer_norm_of(const Values& x, const Values& w, const Values& b, double eps, bool center) {
  const size_t n = w.size();
  Values y;
  for (size_t r = 0; n && r < x.size() / n; ++r) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; ++i) mean += x[r * n + i] / static_cast<double>(n);
    if (!center) mean = 0;
    for (size_t i = 0; i < n; ++i) var += std::pow(x[r * n + i] - mean, 2) / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i)
      y.push_back((x[r * n + i] - mean) / std::sqrt(var + eps) * w[i] + b[i]);
  }
  return y;
}

TEST(Norm, LayerNormAndRmsNorm) {
  struct {
    Shape shape;
    int64_t rank;
  } cases[] = {{{4, 7}, 1}, {{2, 3, 5}, 2}, {{3, 70}, 1}, {{5, 1}, 1}, {{0, 8}, 1}, {{700, 96}, 1}};
  const double eps = 1e-5;
  for (DType t : kFloats)
    for (const auto& c : cases)
      for (bool center : {true, false}) {
        Shape inner = c.shape.slice(c.shape.rank() - c.rank, c.shape.rank());
        const int64_t n = inner.numel(), rows = c.shape.numel() / n;
        if (n == 1 && !center && t != DType::f64) continue;
        const Array x = random_array(t, c.shape, 5, -2, 4), w = random_array(t, inner, 6, 0.5, 2),
                    b = random_array(t, inner, 7), dy = random_array(t, c.shape, 8);
        const Values zero(static_cast<size_t>(n), 0), one(static_cast<size_t>(n), 1);
        std::vector<Array> in = {x, w}, out = {Array(t, c.shape), Array(t, {rows})};
        if (center) in.push_back(b), out.push_back(Array(t, {rows}));
        const NormMaker make = [&](Operands i, Operands o) {
          return make_layer_norm(i, o, c.rank, eps, center);
        };
        const auto result = evaluate(make, in, out);
        expect_near(result[0],
                    layer_norm_of(values(x), values(w), center ? values(b) : zero, eps, center), 2,
                    "layer_norm");
        expect_near(evaluate(make, {x}, {Array(t, c.shape)})[0],
                    layer_norm_of(values(x), one, zero, eps, center), 2, "without weight");
        if (n == 1) continue;  // the gradient is zero up to rounding of 1 / sqrt(eps)

        std::vector<Array> grad_in = {x};
        for (size_t k = 1; k < result.size(); ++k) grad_in.push_back(result[k]);
        grad_in.push_back(w);
        grad_in.push_back(dy);
        std::vector<Array> grads = {Array(t, c.shape), Array(t, inner)};
        if (center) grads.push_back(Array(t, inner));
        grads = evaluate(
            [&](Operands i, Operands o) { return make_layer_norm_grad(i, o, c.rank, center); },
            grad_in, grads);
        const double slack = t == DType::f64 ? 1e4 : 20;
        if (x.numel() < 300)
          expect_near(
              grads[0],
              numeric_grad(
                  [&](const Values& v) { return layer_norm_of(v, values(w), zero, eps, center); },
                  values(x), values(dy)),
              slack, "dx");
        const Values normal = layer_norm_of(values(x), one, zero, eps, center);
        Values dw(static_cast<size_t>(n)), db(static_cast<size_t>(n));
        for (size_t i = 0; i < normal.size(); ++i) {
          dw[i % dw.size()] += normal[i] * dy.at(static_cast<int64_t>(i));
          db[i % db.size()] += dy.at(static_cast<int64_t>(i));
        }
        expect_near(grads[1], dw, t == DType::f64 ? 100 : 4, "dw");
        if (center) expect_near(grads[2], db, t == DType::f64 ? 100 : 4, "db");
      }
}

Values batch_norm_of(const Values& x, const Shape& s, const Values& w, const Values& b, double eps,
                     Values* means = nullptr, Values* vars = nullptr) {
  const size_t channels = w.size(), plane = static_cast<size_t>(s.numel() / s[0] / s[1]);
  const double size = static_cast<double>(x.size() / channels);
  Values mean(channels), var(channels), y(x.size());
  const auto channel = [&](size_t i) { return i / plane % channels; };
  for (size_t i = 0; i < x.size(); ++i) mean[channel(i)] += x[i] / size;
  for (size_t i = 0; i < x.size(); ++i)
    var[channel(i)] += std::pow(x[i] - mean[channel(i)], 2) / size;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = channel(i);
    y[i] = (x[i] - mean[c]) / std::sqrt(var[c] + eps) * w[c] + b[c];
  }
  if (means) *means = mean;
  if (vars) *vars = var;
  return y;
}

TEST(Norm, BatchNorm) {
  const double eps = 1e-5;
  for (DType t : kFloats)
    for (const Shape& s : {Shape{6, 3}, Shape{4, 5, 2}, Shape{3, 4, 5, 6}, Shape{2, 2, 70},
                           Shape{2, 37}, Shape{3, 17, 2, 2}}) {
      const Shape channels = {s[1]};
      const Array x = random_array(t, s, 9, -1, 3), w = random_array(t, channels, 10, 0.5, 2),
                  b = random_array(t, channels, 11), dy = random_array(t, s, 12);
      Values mean, var;
      const Values want = batch_norm_of(values(x), s, values(w), values(b), eps, &mean, &var);
      const auto out =
          evaluate([&](Operands i, Operands o) { return make_batch_norm_train(i, o, eps); },
                   {x, w, b}, {Array(t, s), Array(t, channels), Array(t, channels)});
      expect_near(out[0], want, s[0] == 2 && s.rank() == 2 ? 40 : 4, "batch_norm " + s.str());
      expect_near(out[1], mean, 1, "mean");
      expect_near(out[2], var, 2, "variance");
      const Array again =
          evaluate([&](Operands i, Operands o) { return make_batch_norm_infer(i, o, eps); },
                   {x, w, b, out[1], out[2]}, {Array(t, s)})[0];
      if (t == DType::f32 || t == DType::f64) {
        EXPECT_EQ(again.bytes, out[0].bytes) << s.str();
      }
      if (s[0] == 2 && s.rank() == 2) continue;  // two numbers: nearly no gradient
      const auto grads = evaluate(
          [&](Operands i, Operands o) { return make_batch_norm_grad(i, o, eps); },
          {x, w, out[1], out[2], dy}, {Array(t, s), Array(t, channels), Array(t, channels)});
      const double slack = t == DType::f64 ? 1e4 : 20;
      const auto f = [&](const Values& v) {
        return batch_norm_of(v, s, values(w), values(b), eps);
      };
      expect_near(grads[0], numeric_grad(f, values(x), values(dy)), slack, "dx " + s.str());
      const auto of_weight = [&](const Values& v) {
        return batch_norm_of(values(x), s, v, values(b), eps);
      };
      expect_near(grads[1], numeric_grad(of_weight, values(w), values(dy)), slack, "dw");
      const auto of_bias = [&](const Values& v) {
        return batch_norm_of(values(x), s, values(w), v, eps);
      };
      expect_near(grads[2], numeric_grad(of_bias, values(b), values(dy)), slack, "db");
    }
}

TEST(Norm, SameBitsOnAnyNumberOfThreads) {
  const Shape s = {64, 16, 300}, row = {300};
  const Array x = random_array(DType::f32, s, 1), w = random_array(DType::f32, row, 2),
              b = random_array(DType::f32, row, 3), dy = random_array(DType::f32, s, 4);
  std::vector<std::vector<char>> first;
  for (int threads : {1, 2, 4}) {
    set_num_threads(threads);
    const Array mean(DType::f32, {64, 16});
    auto out = evaluate([](Operands i, Operands o) { return make_layer_norm(i, o, 1, 1e-5, true); },
                        {x, w, b}, {Array(DType::f32, s), mean, mean});
    auto grads =
        evaluate([](Operands i, Operands o) { return make_layer_norm_grad(i, o, 1, true); },
                 {x, out[1], out[2], w, dy},
                 {Array(DType::f32, s), Array(DType::f32, row), Array(DType::f32, row)});
    auto soft = evaluate([](Operands i, Operands o) { return make_softmax(i, o, 1, false); }, {x},
                         {Array(DType::f32, s)});
    std::vector<std::vector<char>> bits;
    for (const auto* list : {&out, &grads, &soft})
      for (const Array& a : *list) bits.push_back(a.bytes);
    if (first.empty()) first = bits;
    EXPECT_EQ(bits, first) << threads;
  }
  set_num_threads(2);
}

}  // namespace
}  // namespace nacre::cpu
