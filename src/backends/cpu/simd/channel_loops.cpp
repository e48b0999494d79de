#include "backends/cpu/simd/channel_loops.h"

#include <algorithm>

#include "backends/cpu/simd/convert.h"
#include "backends/cpu/simd/targets.h"
#include "nacre/dtype.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/channel_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kRows = 64;  // rows whose sum is taken in f32
constexpr int64_t kWide = 4;   // vectors of columns beside each other

using F = hn::ScalableTag<float>;

HWY_INLINE hn::Vec<F> LoadAs(F d, const uint16_t* p) {
  const hn::Rebind<uint16_t, F> half;
  const hn::RebindToUnsigned<F> bits;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(half, p))));
}

HWY_INLINE hn::Vec<F> LoadAs(F d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE float One(uint16_t v) { return bf16_to_f32(v); }
HWY_INLINE float One(float v) { return v; }

template <bool kGrad, typename T>
HWY_INLINE void Sums(const T* x, const T* dy, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second) {
  const F d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float sums[2][hn::MaxLanes(F()) * kWide];
  std::fill_n(first, cols, 0.0);
  std::fill_n(second, cols, 0.0);
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    const int64_t r1 = std::min(rows, r0 + kRows);
    int64_t c = 0;
    for (; c + kWide * lanes <= cols; c += kWide * lanes) {
      hn::Vec<F> a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      const auto m0 = hn::LoadU(d, centre + c), m1 = hn::LoadU(d, centre + c + lanes),
                 m2 = hn::LoadU(d, centre + c + 2 * lanes),
                 m3 = hn::LoadU(d, centre + c + 3 * lanes);
      const auto add = [&](int64_t at, hn::Vec<F> m, hn::Vec<F>& a, hn::Vec<F>& b) HWY_ATTR {
        const auto v = hn::Sub(LoadAs(d, x + at), m);
        if constexpr (kGrad) {
          const auto g = LoadAs(d, dy + at);
          a = hn::Add(a, g);
          b = hn::MulAdd(g, v, b);
        } else {
          a = hn::Add(a, v);
          b = hn::MulAdd(v, v, b);
        }
      };
      for (int64_t r = r0; r < r1; ++r) {
        const int64_t at = r * stride + c;
        add(at, m0, a0, b0);
        add(at + lanes, m1, a1, b1);
        add(at + 2 * lanes, m2, a2, b2);
        add(at + 3 * lanes, m3, a3, b3);
      }
      hn::Store(a0, d, sums[0]);
      hn::Store(a1, d, sums[0] + lanes);
      hn::Store(a2, d, sums[0] + 2 * lanes);
      hn::Store(a3, d, sums[0] + 3 * lanes);
      hn::Store(b0, d, sums[1]);
      hn::Store(b1, d, sums[1] + lanes);
      hn::Store(b2, d, sums[1] + 2 * lanes);
      hn::Store(b3, d, sums[1] + 3 * lanes);
      for (int64_t i = 0; i < kWide * lanes; ++i) {
        first[c + i] += static_cast<double>(sums[0][i]);
        second[c + i] += static_cast<double>(sums[1][i]);
      }
    }
    for (; c < cols; ++c) {
      float a = 0, b = 0;
      for (int64_t r = r0; r < r1; ++r) {
        const float v = One(x[r * stride + c]) - centre[c];
        const float g = kGrad ? One(dy[r * stride + c]) : v;
        a += g;
        b += g * v;
      }
      first[c] += static_cast<double>(a);
      second[c] += static_cast<double>(b);
    }
  }
}

void Moments16(const uint16_t* x, int64_t stride, int64_t rows, int64_t cols, const float* centre,
               double* first, double* second) {
  Sums<false>(x, x, stride, rows, cols, centre, first, second);
}
void Moments32(const float* x, int64_t stride, int64_t rows, int64_t cols, const float* centre,
               double* first, double* second) {
  Sums<false>(x, x, stride, rows, cols, centre, first, second);
}
void Products16(const uint16_t* x, const uint16_t* dy, int64_t stride, int64_t rows, int64_t cols,
                const float* centre, double* first, double* second) {
  Sums<true>(x, dy, stride, rows, cols, centre, first, second);
}
void Products32(const float* x, const float* dy, int64_t stride, int64_t rows, int64_t cols,
                const float* centre, double* first, double* second) {
  Sums<true>(x, dy, stride, rows, cols, centre, first, second);
}

/// Vectors of 16 lanes or less; channels past the last are not touched.
void MaxPoolRowsGrad(const RowsPool& p, const uint16_t* x, const uint16_t* dy, uint16_t* dx,
                     int64_t first, float* sums) {
  const hn::CappedTag<float, kPoolChannels> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::RebindToUnsigned<decltype(d)> bits;
  const hn::Rebind<uint16_t, decltype(d)> half;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t pixels = p.in[0] * p.in[1], count = std::min(kPoolChannels, p.channels - first);
  const auto load = [&](const uint16_t* from, int64_t n) HWY_ATTR {
    if (n >= lanes)
      return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(half, from))));
    HWY_ALIGN uint16_t part[kPoolChannels] = {};
    std::copy_n(from, n, part);
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::Load(half, part))));
  };
  std::fill_n(sums, pixels * kPoolChannels, 0.0f);
  for (int64_t o = 0; o < p.out[0] * p.out[1]; ++o) {
    const int64_t top = o / p.out[1] * p.stride[0] - p.pad[0],
                  left = o % p.out[1] * p.stride[1] - p.pad[1];
    const int64_t h0 = std::max<int64_t>(0, top), h1 = std::min(p.in[0], top + p.kernel[0]),
                  w0 = std::max<int64_t>(0, left), w1 = std::min(p.in[1], left + p.kernel[1]);
    for (int64_t c = 0; c < count; c += lanes) {
      const auto each = [&](auto f) HWY_ATTR {
        for (int64_t h = h0; h < h1; ++h)
          for (int64_t w = w0; w < w1; ++w) f(h * p.in[1] + w);
      };
      auto best = hn::Set(d, -hwy::HighestValue<float>());
      auto at = hn::Set(di, -1);
      each([&](int64_t i) HWY_ATTR {
        const auto v = load(x + i * p.channels + first + c, count - c);
        // NaN beats all but an earlier NaN; the first always counts.
        auto take = hn::Or(hn::Gt(v, best), hn::RebindMask(d, hn::Lt(at, hn::Zero(di))));
        take = hn::Or(take, hn::And(hn::IsNaN(v), hn::Not(hn::IsNaN(best))));
        best = hn::IfThenElse(take, v, best);
        at = hn::IfThenElse(hn::RebindMask(di, take), hn::Set(di, static_cast<int32_t>(i)), at);
      });
      const auto g = load(dy + o * p.channels + first + c, count - c);
      each([&](int64_t i) HWY_ATTR {
        float* s = sums + i * kPoolChannels + c;
        const auto here = hn::RebindMask(d, hn::Eq(at, hn::Set(di, static_cast<int32_t>(i))));
        hn::StoreU(hn::Add(hn::LoadU(d, s), hn::IfThenElseZero(here, g)), d, s);
      });
    }
  }
  for (int64_t i = 0; i < pixels; ++i)
    narrow16(DType::bf16, sums + i * kPoolChannels, dx + i * p.channels + first, count);
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Moments16);
HWY_EXPORT(Moments32);
HWY_EXPORT(Products16);
HWY_EXPORT(Products32);
HWY_EXPORT(MaxPoolRowsGrad);

void channel_moments(const uint16_t* x, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second) {
  HWY_DYNAMIC_DISPATCH(Moments16)(x, stride, rows, cols, centre, first, second);
}
void channel_moments(const float* x, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second) {
  HWY_DYNAMIC_DISPATCH(Moments32)(x, stride, rows, cols, centre, first, second);
}
void channel_products(const uint16_t* x, const uint16_t* dy, int64_t stride, int64_t rows,
                      int64_t cols, const float* centre, double* first, double* second) {
  HWY_DYNAMIC_DISPATCH(Products16)(x, dy, stride, rows, cols, centre, first, second);
}
void channel_products(const float* x, const float* dy, int64_t stride, int64_t rows, int64_t cols,
                      const float* centre, double* first, double* second) {
  HWY_DYNAMIC_DISPATCH(Products32)(x, dy, stride, rows, cols, centre, first, second);
}

void max_pool_rows_grad(const RowsPool& p, const uint16_t* x, const uint16_t* dy, uint16_t* dx,
                        int64_t first, float* sums) {
  HWY_DYNAMIC_DISPATCH(MaxPoolRowsGrad)(p, x, dy, dx, first, sums);
}

}  // namespace nacre::cpu
#endif
