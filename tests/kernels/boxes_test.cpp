// Kernels of slices at fixed and at run-time positions, bisection, ranges and CTC, at sizes where
// they run in parallel, against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/helpers.h"
#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre::cpu::test {
namespace {

std::vector<float> numbers(int64_t n, uint64_t seed) {
  Rng rng{Key(seed)};
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = static_cast<float>(rng.uniform(-1, 1));
  return v;
}

TEST(SliceScatter, RandomBoxes) {
  Random r(1);
  for (int trial = 0; trial < 300; ++trial) {
    Shape shape;
    for (int64_t rank = draw(r, 1, 4); rank > 0; --rank) shape.push_back(draw(r, 1, 7));
    if (trial % 50 == 0) shape = {40, 300, 11};
    Ints starts, steps;
    Shape part;
    for (int64_t size : shape) {
      const bool whole = draw(r, 0, 2) == 0;
      starts.push_back(whole ? 0 : draw(r, 0, size - 1));
      steps.push_back(whole ? 1 : draw(r, 1, 3));
      part.push_back(
          whole ? size : draw(r, trial % 9 ? 1 : 0, (size - 1 - starts.back()) / steps.back() + 1));
    }
    const auto x = numbers(shape.numel(), 2), src = numbers(part.numel(), 3);
    auto want = x;
    const Shape strides = contiguous_strides(shape);
    for (int64_t k = 0; k < part.numel(); ++k) {
      int64_t rest = k, at = 0;
      for (int64_t d = part.rank(); d-- > 0; rest /= part[d])
        at += (starts[d] + rest % part[d] * steps[d]) * strides[d];
      want[static_cast<size_t>(at)] = src[static_cast<size_t>(k)];
    }
    const Tensor y = slices_scatter(Tensor::from(x, shape), Tensor::from(src, part), starts, steps);
    ASSERT_EQ(y.to_vector<float>(), want) << shape.str() << " box " << part.str() << " from "
                                          << starts.list() << " step " << steps.list();
    const Tensor b = slices_scatter(cast(Tensor::from(x, shape), DType::bf16),
                                    cast(Tensor::from(src, part), DType::bf16), starts, steps);
    ASSERT_EQ(b.to_vector<float>(),
              cast(Tensor::from(want, shape), DType::bf16).to_vector<float>());
  }
}

TEST(DynamicSlice, EveryPositionOfEveryDimension) {
  const Shape shape = {6, 5, 900};
  const auto x = numbers(shape.numel(), 4);
  for (int64_t dim = 0; dim < 3; ++dim)
    for (int64_t size : {int64_t{0}, int64_t{1}, int64_t{3}, shape[dim]})
      for (int64_t start : {int64_t{0}, (shape[dim] - size) / 2, shape[dim] - size}) {
        Shape part = shape;
        part[dim] = size;
        const auto src = numbers(part.numel(), 5);
        std::vector<float> taken;
        auto written = x;
        for (int64_t k = 0, j = 0; k < shape.numel(); ++k) {
          const int64_t at = k / shape.slice(dim + 1, 3).numel() % shape[dim];
          if (at < start || at >= start + size) continue;
          taken.push_back(x[static_cast<size_t>(k)]);
          written[static_cast<size_t>(k)] = src[static_cast<size_t>(j++)];
        }
        const Tensor t = Tensor::from(x, shape), s = Tensor::scalar(double(start), DType::i64);
        EXPECT_EQ(dynamic_slice(t, s, size, dim).to_vector<float>(), taken);
        EXPECT_EQ(dynamic_update(t, Tensor::from(src, part), s, dim).to_vector<float>(), written);
      }
}

TEST(DynamicSlice, APositionOutsideIsAnErrorAndLeavesTheTensor) {
  const Tensor x = Tensor::from(numbers(12, 6), {4, 3}), src = zeros({2, 3});
  for (int64_t start : {-1, 3, 1 << 30}) {
    const Tensor s = Tensor::scalar(static_cast<double>(start), DType::i64);
    EXPECT_THROW(eval(dynamic_slice(x, s, 2, 0)), Error);
    EXPECT_THROW(eval(dynamic_update(x, src, s, 0)), Error);
  }
  EXPECT_EQ(x.to_vector<float>(), numbers(12, 6));
}

TEST(DynamicUpdate, ACacheThatIsReplacedKeepsItsMemory) {
  Tensor cache = zeros({1, 64, 8});
  eval(cache);
  const void* before = nullptr;
  for (int64_t i = 0; i < 64; ++i) {
    cache = dynamic_update(cache, full({1, 1, 8}, static_cast<double>(i)),
                           Tensor::scalar(static_cast<double>(i), DType::i64), 1);
    eval(cache);
    if (i == 2) before = cache.data();
    if (i > 2) {
      EXPECT_EQ(cache.data(), before) << "copied at step " << i;
    }
  }
  const auto v = cache.to_vector<float>();
  for (size_t k = 0; k < v.size(); ++k) EXPECT_EQ(v[k], static_cast<float>(k / 8));
}

TEST(SearchSorted, CountsWhatComesBefore) {
  for (DType type : {DType::f32, DType::f64, DType::f16, DType::i32}) {
    const int64_t rows = 3, n = 50, m = 3000;
    auto sorted = numbers(rows * n, 7), values = numbers(rows * m, 8);
    for (float& v : sorted) v = std::round(v * 20);
    for (float& v : values) v = std::round(v * 24);
    for (int64_t i = 0; i < rows; ++i)
      std::sort(sorted.begin() + i * n, sorted.begin() + (i + 1) * n);
    for (bool right : {false, true}) {
      const auto y = searchsorted(cast(Tensor::from(sorted, {rows, n}), type),
                                  cast(Tensor::from(values, {rows, m}), type), right)
                         .to_vector<int64_t>();
      for (int64_t k = 0; k < rows * m; ++k) {
        const float v = values[static_cast<size_t>(k)];
        const auto row = sorted.begin() + k / m * n;
        EXPECT_EQ(y[static_cast<size_t>(k)],
                  std::count_if(row, row + n, [&](float s) { return right ? s <= v : s < v; }));
      }
    }
  }
}

TEST(Creation, RangesAreExactAtBothEnds) {
  const int64_t n = 200001;
  const auto a = arange(-100000, 100001).to_vector<int64_t>();
  ASSERT_EQ(a.size(), static_cast<size_t>(n));
  const auto l = linspace(-0.3, 0.7, n, DType::f64).to_vector<double>();
  for (int64_t k = 0; k < n; ++k) {
    EXPECT_EQ(a[static_cast<size_t>(k)], k - 100000);
    EXPECT_NEAR(l[static_cast<size_t>(k)], -0.3 + static_cast<double>(k) / 200000, 1e-15);
  }
  EXPECT_EQ(l.front(), -0.3);
  EXPECT_EQ(l.back(), 0.7);
  EXPECT_TRUE(std::signbit(full({}, -0.0).item()));
  EXPECT_EQ(full({}, -INFINITY, DType::bf16).item(), -INFINITY);
}

/// -log of the summed probability of all paths that spell the target.
double ctc_by_enumeration(const std::vector<double>& p, int64_t steps, int64_t classes,
                          const std::vector<int64_t>& target) {
  int64_t paths = 1;
  for (int64_t t = 0; t < steps; ++t) paths *= classes;
  double total = 0;
  for (int64_t path = 0; path < paths; ++path) {
    std::vector<int64_t> spelt;
    double probability = 1;
    int64_t last = 0;
    for (int64_t t = 0, rest = path; t < steps; ++t, rest /= classes) {
      const int64_t c = rest % classes;
      probability *= p[static_cast<size_t>(t * classes + c)];
      if (c != 0 && c != last) spelt.push_back(c);
      last = c;
    }
    if (spelt == target) total += probability;
  }
  return -std::log(total);
}

TEST(Ctc, EqualsTheSumOverAllPaths) {
  const int64_t steps = 5, batch = 5, classes = 3, width = 3;
  const Tensor lp = log_softmax(
      Tensor::from(numbers(steps * batch * classes, 9), {steps, batch, classes}) * 3.0, 2);
  const std::vector<std::vector<int64_t>> targets = {{1, 2, 1}, {1, 1}, {}, {2}, {1, 1, 1}};
  const std::vector<int64_t> lengths = {5, 4, 5, 1, 5};
  std::vector<int64_t> padded, sizes;
  for (const auto& t : targets) {
    sizes.push_back(static_cast<int64_t>(t.size()));
    for (size_t i = 0; i < 3; ++i) padded.push_back(i < t.size() ? t[i] : 0);
  }
  const auto p = exp(lp).to_vector<double>();
  for (DType type : {DType::f32, DType::f64}) {
    const auto y =
        ctc_loss(cast(lp, type), Tensor::from(padded, {batch, width}),
                 Tensor::from(lengths, {batch}), Tensor::from(sizes, {batch}), 0, Reduction::none)
            .to_vector<double>();
    for (int64_t n = 0; n < batch; ++n) {
      std::vector<double> own;
      for (int64_t t = 0; t < steps; ++t)
        for (int64_t c = 0; c < classes; ++c)
          own.push_back(p[static_cast<size_t>((t * batch + n) * classes + c)]);
      const auto i = static_cast<size_t>(n);
      EXPECT_NEAR(y[i], ctc_by_enumeration(own, lengths[i], classes, targets[i]), 1e-5);
    }
  }
}

TEST(Ctc, EqualsItsReferenceOnALargerBatch) {
  const int64_t steps = 40, batch = 7, classes = 12, width = 9;
  Rng rng{Key(10)};
  std::vector<int64_t> targets, lengths, sizes;
  for (int64_t n = 0; n < batch; ++n) {
    lengths.push_back(20 + rng.below(steps - 19));
    sizes.push_back(rng.below(width + 1));
    for (int64_t i = 0; i < width; ++i) targets.push_back(1 + rng.below(classes - 1));
  }
  const Tensor x = Tensor::from(numbers(steps * batch * classes, 11), {steps, batch, classes});
  const auto both = [&] {
    const Tensor in = identity(x);
    const Tensor loss = ctc_loss(log_softmax(in * 5.0, 2), Tensor::from(targets, {batch, width}),
                                 Tensor::from(lengths, {batch}), Tensor::from(sizes, {batch}));
    auto v = grad(loss, {in})[0].to_vector<float>();
    v.push_back(static_cast<float>(loss.item()));
    return v;
  };
  const auto fast = both();
  set_reference_backend(true);
  const auto slow = both();
  set_reference_backend(false);
  for (size_t i = 0; i < fast.size(); ++i) EXPECT_NEAR(fast[i], slow[i], 2e-6) << i;
}

TEST(Ctc, ANanStaysANan) {
  const Tensor lp = Tensor::from<float>({-1, NAN, -INFINITY, NAN, -1, -1}, {2, 1, 3});
  const Tensor y = ctc_loss(lp, Tensor::from<int64_t>({1}, {1, 1}), Tensor::from<int64_t>({2}, {1}),
                            Tensor::from<int64_t>({1}, {1}));
  EXPECT_TRUE(std::isnan(y.item()));
}

}  // namespace
}  // namespace nacre::cpu::test
