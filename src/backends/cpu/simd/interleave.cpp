#include "backends/cpu/simd/interleave.h"

#include <algorithm>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/interleave.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kColumns = 16;  // a cache line of each of four rows at a time

/// to[j * to_stride + i] = from[i * from_stride + j] for i and j below 4.
HWY_INLINE void Transpose4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j) to[j * to_stride + i] = from[i * from_stride + j];
#else
  const hn::FixedTag<float, 4> d;
  const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + from_stride);
  const auto r2 = hn::LoadU(d, from + 2 * from_stride), r3 = hn::LoadU(d, from + 3 * from_stride);
  const auto low01 = hn::InterleaveLower(d, r0, r1), low23 = hn::InterleaveLower(d, r2, r3);
  const auto high01 = hn::InterleaveUpper(d, r0, r1), high23 = hn::InterleaveUpper(d, r2, r3);
  hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, to);
  hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, to + to_stride);
  hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, to + 2 * to_stride);
  hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, to + 3 * to_stride);
#endif
}

void Interleave(const float* from, int64_t stride, float* to, int64_t rows, int64_t block,
                int64_t columns) {
  for (int64_t p0 = 0; p0 < columns; p0 += kColumns) {
    const int64_t p1 = std::min(columns, p0 + kColumns);
    for (int64_t c = 0; c < block; c += 4) {
      const int64_t n = std::clamp<int64_t>(rows - c, 0, 4);
      const float* row = from + c * stride;
      int64_t p = p0;
      for (; n == 4 && p + 4 <= p1; p += 4) Transpose4(row + p, stride, to + p * block + c, block);
      for (; p < p1; ++p)
        for (int64_t i = 0; i < 4; ++i) to[p * block + c + i] = i < n ? row[i * stride + p] : 0.f;
    }
  }
}

void Deinterleave(const float* from, float* to, int64_t stride, int64_t rows, int64_t block,
                  int64_t columns) {
  for (int64_t p0 = 0; p0 < columns; p0 += kColumns) {
    const int64_t p1 = std::min(columns, p0 + kColumns);
    for (int64_t c = 0; c < rows; c += 4) {
      const int64_t n = std::min<int64_t>(4, rows - c);
      float* row = to + c * stride;
      int64_t p = p0;
      for (; n == 4 && p + 4 <= p1; p += 4)
        Transpose4(from + p * block + c, block, row + p, stride);
      for (; p < p1; ++p)
        for (int64_t i = 0; i < n; ++i) row[i * stride + p] = from[p * block + c + i];
    }
  }
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Interleave);
HWY_EXPORT(Deinterleave);

void interleave(const float* from, int64_t stride, float* to, int64_t rows, int64_t block,
                int64_t columns) {
  HWY_DYNAMIC_DISPATCH(Interleave)(from, stride, to, rows, block, columns);
}

void deinterleave(const float* from, float* to, int64_t stride, int64_t rows, int64_t block,
                  int64_t columns) {
  HWY_DYNAMIC_DISPATCH(Deinterleave)(from, to, stride, rows, block, columns);
}

}  // namespace nacre::cpu
#endif
