// Reductions and softmax.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "embed/step.h"

namespace nacre::embed {
namespace {

/// Over outer x n x inner values.
void reduce(int64_t function, int64_t outer, int64_t n, int64_t inner, const float* x, float* y) {
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += inner)
    for (int64_t i = 0; i < inner; ++i) {
      double sum = 0;
      float best = x[i];
      for (int64_t k = 0; k < n; ++k) {
        const float v = x[k * inner + i];
        sum += v;
        if (v != v || (function == 2 ? v > best : v < best)) best = v;
      }
      y[i] =
          function < 2 ? static_cast<float>(function ? sum / static_cast<double>(n) : sum) : best;
    }
}

void softmax(int64_t outer, int64_t n, int64_t inner, const float* x, float* y) {
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += n * inner)
    for (int64_t i = 0; i < inner; ++i) {
      float best = -INFINITY;
      for (int64_t k = 0; k < n; ++k) best = std::max(best, x[k * inner + i]);
      float sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += y[k * inner + i] = std::exp(x[k * inner + i] - best);
      for (int64_t k = 0; k < n; ++k) y[k * inner + i] /= sum;
    }
}

void check_reduce(Check& c) {
  Step& s = c.step;
  c.need(1, 2, true);
  c.ensure(s.numbers[0] >= 0 && s.numbers[0] < static_cast<int64_t>(std::size(kReduce)));
  // Neighbouring dimensions: the writer moves others together.
  const Shape& x = c.x(0);
  c.split(x, s.numbers[1]);
  for (size_t k = 2; k < s.numbers.size(); ++k) {
    c.ensure(s.numbers[k] == s.numbers[k - 1] + 1 && s.numbers[k] < x.rank());
    s.n *= x[s.numbers[k]];
    s.inner /= x[s.numbers[k]];
  }
  c.ensure(c.y_size() == s.outer * s.inner);
}
void run_reduce(const Call& c) {
  const Step& s = c.step;
  reduce(s.numbers[0], s.outer, s.n, s.inner, c.x(0), c.y());
}

void check_softmax(Check& c) {
  c.need(1, 1);
  c.ensure(c.x(0) == c.y());
  c.split(c.y(), c.step.numbers[0]);
}
void run_softmax(const Call& c) { softmax(c.step.outer, c.step.n, c.step.inner, c.x(0), c.y()); }

}  // namespace

extern const Kernel kernel_reduce = {Op::reduce, 0, check_reduce, run_reduce};
extern const Kernel kernel_softmax = {Op::softmax, 0, check_softmax, run_softmax};

}  // namespace nacre::embed
