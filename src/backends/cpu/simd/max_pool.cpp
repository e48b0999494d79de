#include "backends/cpu/simd/max_pool.h"

#include <algorithm>
#include <limits>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/max_pool.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The taps of a row of outputs that lie inside the input along the outer dimensions.
struct Row {
  int64_t d, h;  // where the row's windows start
};

/// x[0], x[stride], x[2 stride], ...; reads nothing past the last of them.
template <int kStride, class D>
HWY_INLINE hn::Vec<D> LoadEach(D d, const float* x) {
#if HWY_TARGET == HWY_SCALAR
  return hn::LoadU(d, x);
#else
  const auto low = hn::LoadU(d, x);
  if constexpr (kStride == 1) return low;
  const auto high = hn::LoadU(d, x + hn::Lanes(d) - 1);
  return hn::ConcatUpperLower(d, hn::ConcatOdd(d, high, high), hn::ConcatEven(d, low, low));
#endif
}

/// Lanes of v that are to replace `best`.
template <class V>
HWY_INLINE auto Larger(V v, V best) {
  return hn::AndNot(hn::IsNaN(best), hn::Not(hn::Le(v, best)));
}

/// Calls f(position of the tap for output 0 of the row, its offset along the row).
template <class F>
HWY_INLINE void EachTap(const PoolWindow& w, const Row& row, F f) {
  for (int64_t kd = 0; kd < w.kernel[0]; ++kd) {
    const int64_t d = row.d + kd * w.dilation[0];
    if (d < 0 || d >= w.in[0]) continue;
    for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
      const int64_t h = row.h + kh * w.dilation[1];
      if (h < 0 || h >= w.in[1]) continue;
      for (int64_t kw = 0; kw < w.kernel[2]; ++kw)
        f((d * w.in[1] + h) * w.in[2], kw * w.dilation[2] - w.pad[2]);
    }
  }
}

/// Outputs [first, last) of a row, one by one.
void Each(const PoolWindow& w, const Row& row, const float* x, int64_t first, int64_t last,
          float* y, int64_t* index) {
  for (int64_t o = first; o < last; ++o) {
    float best = -std::numeric_limits<float>::infinity();
    int64_t at = -1;
    EachTap(w, row, [&](int64_t start, int64_t offset) {
      const int64_t i = o * w.stride[2] + offset;
      if (i < 0 || i >= w.in[2]) return;
      const float v = x[start + i];
      if (at >= 0 && !(v > best) && !(v != v && best == best)) return;
      best = v;
      at = start + i;
    });
    y[o] = best;
    if (index) index[o] = at;
  }
}

/// As many outputs from o on as a vector has lanes, none of which has a tap outside of the row.
template <int kStride, class D>
HWY_INLINE void Together(D d, const PoolWindow& w, const Row& row, const float* x, int64_t o,
                         float* y, int64_t* index) {
  const hn::RebindToSigned<D> di;
  using I = hn::TFromD<decltype(di)>;
  auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto at = hn::Set(di, I{-1});
  const auto lane = hn::Mul(hn::Iota(di, 0), hn::Set(di, I{kStride}));
  EachTap(w, row, [&](int64_t start, int64_t offset) {
    const int64_t i = start + o * kStride + offset;
    const auto v = LoadEach<kStride>(d, x + i);
    const auto position = hn::Add(lane, hn::Set(di, static_cast<I>(i)));
    const auto none = hn::RebindMask(d, hn::Lt(at, hn::Zero(di)));
    const auto take = hn::Or(none, Larger(v, best));
    best = hn::IfThenElse(take, v, best);
    at = hn::IfThenElse(hn::RebindMask(di, take), position, at);
  });
  hn::StoreU(best, d, y + o);
  HWY_ALIGN I positions[hn::MaxLanes(di)];
  hn::Store(at, di, positions);
  for (size_t k = 0; k < hn::Lanes(d); ++k) index[o + static_cast<int64_t>(k)] = positions[k];
}

/// As Together, without positions.
template <int kStride, class D>
HWY_INLINE void Values(D d, const PoolWindow& w, const Row& row, const float* x, int64_t o,
                       float* y) {
  auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
  EachTap(w, row, [&](int64_t start, int64_t offset) {
    const auto v = LoadEach<kStride>(d, x + start + o * kStride + offset);
    best = hn::IfThenElse(Larger(v, best), v, best);
  });
  hn::StoreU(best, d, y + o);
}

#if HWY_TARGET != HWY_SCALAR
constexpr int64_t kSmallPlane = 4096;

/// True for windows of 2 by 2 beside each other, of a plane of few columns.
bool Pairs(const PoolWindow& w, int64_t lanes) {
  const PoolWindow::Sizes two = {1, 2, 2}, none = {0, 0, 0}, one = {1, 1, 1};
  return w.kernel == two && w.stride[1] == 2 && w.stride[2] == 2 && w.pad == none &&
         w.dilation == one && w.in[0] == 1 && w.in[2] == 2 * w.out[2] && w.out[2] <= lanes &&
         w.out[0] == 1 && w.in_plane() <= kSmallPlane;
}

/// Such a plane: the larger of neighbours first, over all rows at once, then of rows.
template <class D>
HWY_INLINE void PairsPlane(D d, const PoolWindow& w, const float* x, float* y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float halves[kSmallPlane / 2 + 2 * hn::MaxLanes(d)];
  const int64_t count = w.in_plane() / 2, width = w.out[2];
  const auto larger = [](auto v, auto best)
                          HWY_ATTR { return hn::IfThenElse(Larger(v, best), v, best); };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto a = hn::LoadU(d, x + 2 * i), b = hn::LoadU(d, x + 2 * i + lanes);
    hn::StoreU(larger(hn::ConcatOdd(d, b, a), hn::ConcatEven(d, b, a)), d, halves + i);
  }
  for (; i < count; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    halves[i] = b > a || (b != b && a == a) ? b : a;
  }
  for (int64_t r = 0; r < w.out[1]; ++r, y += width) {
    const float* from = halves + 2 * r * width;
    const auto best = larger(hn::LoadU(d, from + width), hn::LoadU(d, from));
    if (r * width + lanes <= w.out[1] * width) {  // the next rows are written over what is too much
      hn::StoreU(best, d, y);
      continue;
    }
    HWY_ALIGN float row[hn::MaxLanes(d)];
    hn::Store(best, d, row);
    std::copy_n(row, width, y);
  }
}
#endif

template <int kStride, class D>
HWY_INLINE void Plane(D d, const PoolWindow& w, const float* x, float* y, int64_t* index) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  // Outputs whose windows lie inside along the row.
  const int64_t reach = (w.kernel[2] - 1) * w.dilation[2] - w.pad[2];
  const int64_t inner = std::min(w.out[2], (w.pad[2] + kStride - 1) / kStride);
  const int64_t outer =
      w.in[2] - 1 < reach
          ? inner
          : std::max(inner, std::min(w.out[2], (w.in[2] - 1 - reach) / kStride + 1));
  for (int64_t r = 0; r < w.out[0] * w.out[1]; ++r) {
    const Row row{r / w.out[1] * w.stride[0] - w.pad[0], r % w.out[1] * w.stride[1] - w.pad[1]};
    float* to = y + r * w.out[2];
    int64_t* at = index ? index + r * w.out[2] : nullptr;
    if (outer - inner < lanes) {
      Each(w, row, x, 0, w.out[2], to, at);
      continue;
    }
    Each(w, row, x, 0, inner, to, at);
    int64_t o = inner;
    while (o < outer) {
      o = std::min(o, outer - lanes);  // some again
      at ? Together<kStride>(d, w, row, x, o, to, at) : Values<kStride>(d, w, row, x, o, to);
      o += lanes;
    }
    Each(w, row, x, outer, w.out[2], to, at);
  }
}

template <class D>
HWY_INLINE void PlaneOfStride(D d, const PoolWindow& w, const float* x, float* y, int64_t* index) {
  w.stride[2] == 1 ? Plane<1>(d, w, x, y, index) : Plane<2>(d, w, x, y, index);
}

void MaxPoolPlane(const PoolWindow& w, const float* x, float* y, int64_t* index) {
#if HWY_TARGET == HWY_SCALAR
  PlaneOfStride(hn::CappedTag<float, 1>(), w, x, y, index);
#else
  const hn::CappedTag<float, 16> whole;
  if (!index && Pairs(w, static_cast<int64_t>(hn::Lanes(whole)))) return PairsPlane(whole, w, x, y);
  if (w.out[2] >= 16 + w.pad[2] && hn::MaxLanes(hn::ScalableTag<float>()) >= 16)
    PlaneOfStride(hn::CappedTag<float, 16>(), w, x, y, index);
  else if (w.out[2] >= 8)
    PlaneOfStride(hn::CappedTag<float, 8>(), w, x, y, index);
  else
    PlaneOfStride(hn::CappedTag<float, 4>(), w, x, y, index);
#endif
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {
HWY_EXPORT(MaxPoolPlane);

bool has_max_pool_plane(const PoolWindow& w) {
  return (w.stride[2] == 1 || w.stride[2] == 2) &&
         w.in_plane() <= std::numeric_limits<int32_t>::max() - 64;
}

void max_pool_plane(const PoolWindow& w, const float* x, float* y, int64_t* index) {
  HWY_DYNAMIC_DISPATCH(MaxPoolPlane)(w, x, y, index);
}

}  // namespace nacre::cpu
#endif
