// Pooling.
#include <algorithm>
#include <cmath>

#include "embed/step.h"

namespace nacre::embed {
namespace {

/// The taps of a window that lie inside: from <= t < to.
void inside(int64_t start, int64_t size, int64_t kernel, int64_t dilation, int64_t& from,
            int64_t& to) {
  from = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  to = start >= size ? 0 : std::min(kernel, (size - start + dilation - 1) / dilation);
  from = std::min(from, to);
}

/// Gives each window, in order, to f: the taps of one that lie inside, and how many they are.
template <class F>
void each_window(const Window& q, int64_t planes, const float* x, F f) {
  for (int64_t p = 0; p < planes; ++p, x += q.in[0] * q.in[1])
    for (int64_t i = 0; i < q.out[0]; ++i)
      for (int64_t j = 0; j < q.out[1]; ++j) {
        const int64_t top = i * q.stride[0] - q.low[0], left = j * q.stride[1] - q.low[1];
        int64_t r0, r1, s0, s1;
        inside(top, q.in[0], q.kernel[0], q.dilation[0], r0, r1);
        inside(left, q.in[1], q.kernel[1], q.dilation[1], s0, s1);
        const auto taps = [&](auto&& g) {
          for (int64_t r = r0; r < r1; ++r)
            for (int64_t s = s0; s < s1; ++s)
              g(x[(top + r * q.dilation[0]) * q.in[1] + left + s * q.dilation[1]]);
        };
        f(taps, (r1 - r0) * (s1 - s0));
      }
}

void max_pool(const Window& q, int64_t planes, const float* x, float* y) {
  each_window(q, planes, x, [&](const auto& taps, int64_t) {
    float best = -INFINITY;
    taps([&](float v) {
      if (v > best || v != v) best = v;
    });
    *y++ = best;
  });
}

void avg_pool(const Window& q, int64_t planes, bool include_pad, const float* x, float* y) {
  each_window(q, planes, x, [&](const auto& taps, int64_t within) {
    double sum = 0;
    taps([&](float v) { sum += v; });
    const int64_t count = include_pad ? q.kernel[0] * q.kernel[1] : std::max<int64_t>(1, within);
    *y++ = static_cast<float>(sum / static_cast<double>(count));
  });
}

void check_pool(Check& c) {
  Step& s = c.step;
  c.need(1, s.op == Op::avg_pool ? 11 : 10);
  s.window.kernel[0] = s.numbers[0];
  s.window.kernel[1] = s.numbers[1];
  c.window(2);
  c.ensure(c.x(0)[1] == c.y()[1]);
}

void run_max_pool(const Call& c) {
  max_pool(c.step.window, c.shape()[0] * c.shape()[1], c.x(0), c.y());
}
void run_avg_pool(const Call& c) {
  avg_pool(c.step.window, c.shape()[0] * c.shape()[1], c.step.numbers[10] != 0, c.x(0), c.y());
}

}  // namespace

extern const Kernel kernel_max_pool = {Op::max_pool, 0, check_pool, run_max_pool};
extern const Kernel kernel_avg_pool = {Op::avg_pool, 0, check_pool, run_avg_pool};

}  // namespace nacre::embed
