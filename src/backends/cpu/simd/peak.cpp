#include "backends/cpu/simd/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/simd/targets.h"
#include "base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/peak.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// `rounds` times twelve independent multiply-adds of whole vectors; returns the operations.
double MultiplyAdd(int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  const auto a = hn::Set(d, 0.999999f), b = hn::Set(d, 1e-6f);
  auto v0 = hn::Set(d, 0.1f), v1 = hn::Set(d, 0.2f), v2 = hn::Set(d, 0.3f), v3 = hn::Set(d, 0.4f),
       v4 = hn::Set(d, 0.5f), v5 = hn::Set(d, 0.6f), v6 = hn::Set(d, 0.7f), v7 = hn::Set(d, 0.8f),
       v8 = hn::Set(d, 0.9f), v9 = hn::Set(d, 1.0f), v10 = hn::Set(d, 1.1f), v11 = hn::Set(d, 1.2f);
  for (int64_t i = 0; i < rounds; ++i) {
    v0 = hn::MulAdd(v0, a, b);
    v1 = hn::MulAdd(v1, a, b);
    v2 = hn::MulAdd(v2, a, b);
    v3 = hn::MulAdd(v3, a, b);
    v4 = hn::MulAdd(v4, a, b);
    v5 = hn::MulAdd(v5, a, b);
    v6 = hn::MulAdd(v6, a, b);
    v7 = hn::MulAdd(v7, a, b);
    v8 = hn::MulAdd(v8, a, b);
    v9 = hn::MulAdd(v9, a, b);
    v10 = hn::MulAdd(v10, a, b);
    v11 = hn::MulAdd(v11, a, b);
  }
  const auto low = hn::Add(hn::Add(hn::Add(v0, v1), hn::Add(v2, v3)), hn::Add(v4, v5));
  const auto high = hn::Add(hn::Add(hn::Add(v6, v7), hn::Add(v8, v9)), hn::Add(v10, v11));
  *result = hn::GetLane(hn::Add(low, high));  // keeps the loop from being left out
  return 2.0 * 12 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {
HWY_EXPORT(MultiplyAdd);

namespace {

/// The best of a few runs of work(), which returns how much it did, in 1e9 a second.
template <typename F>
double best_rate(F work) {
  double best = 0;
  for (int run = 0; run < 9; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double done = work();
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, done / time.count());
  }
  return best;
}

}  // namespace

const Peak& measured_peak() {
  static const Peak peak = [] {
    Peak p;
    const int threads = num_threads();
    p.gflops = best_rate([&] {
      std::atomic<double> done{0};
      parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          float result = 0;
          const double operations = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(400000, &result);
          if (result > 0) done.fetch_add(operations, std::memory_order_relaxed);
        }
      });
      return done.load();
    });
    const std::vector<float> memory(size_t{48} << 20, 1.f);  // 192 MiB
    constexpr int64_t kPiece = 1 << 16;
    p.gbytes = best_rate([&] {
      std::atomic<double> sum{0};
      parallel_for(static_cast<int64_t>(memory.size()) / kPiece, 64,
                   [&](int64_t begin, int64_t end) {
                     double s = 0;
                     for (int64_t i = begin; i < end; ++i)
                       s += row_loops<float>().sum(memory.data() + i * kPiece, kPiece);
                     sum.fetch_add(s, std::memory_order_relaxed);
                   });
      return 4 * sum.load();  // every element is 1
    });
    return p;
  }();
  return peak;
}

}  // namespace nacre::cpu
#endif
