#include "backends/cpu/simd/winograd.h"

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/winograd.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>
#include "backends/cpu/simd/block_results_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace {  // other files have functions of these names

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

// The polynomials of windows and results are evaluated at 0, a, -a, b, -b and infinity. With a =
// 2/3 and b = 3/2 the errors of rounding are smallest among simple fractions (less than half of
// those of 1 and 2, which are the usual ones), and a b = 1.
constexpr double kA = 2. / 3, kB = 3. / 2;
constexpr auto a = static_cast<float>(kA), aa = static_cast<float>(kA * kA),
               aaa = static_cast<float>(kA * kA * kA), b = static_cast<float>(kB),
               bb = static_cast<float>(kB * kB), bbb = static_cast<float>(kB * kB * kB),
               squares = static_cast<float>(kA * kA + kB * kB);
// 1 / the products of the distances to the other points.
constexpr auto at_a = static_cast<float>(1 / (2 * kA * kA * (kA * kA - kB * kB))),
               at_b = static_cast<float>(1 / (2 * kB * kB * (kB * kB - kA * kA)));

/// y = B^T x.
HWY_INLINE void Window(const V (&x)[6], V (&y)[6]) {
  const D d;
  const V both = hn::Set(d, squares), va = hn::Set(d, a), vb = hn::Set(d, b);
  const V even_a = hn::NegMulAdd(hn::Set(d, bb), x[2], x[4]);
  const V odd_a = hn::NegMulAdd(vb, x[1], hn::Mul(va, x[3]));
  const V even_b = hn::NegMulAdd(hn::Set(d, aa), x[2], x[4]);
  const V odd_b = hn::NegMulAdd(va, x[1], hn::Mul(vb, x[3]));
  y[0] = hn::NegMulAdd(both, x[2], hn::Add(x[0], x[4]));
  y[1] = hn::Add(even_a, odd_a);
  y[2] = hn::Sub(even_a, odd_a);
  y[3] = hn::Add(even_b, odd_b);
  y[4] = hn::Sub(even_b, odd_b);
  y[5] = hn::NegMulAdd(both, x[3], hn::Add(x[1], x[5]));
}

/// y = A^T x.
HWY_INLINE void Results(const V (&x)[6], V (&y)[4]) {
  const D d;
  const V s = hn::Add(x[1], x[2]), t = hn::Sub(x[1], x[2]), u = hn::Add(x[3], x[4]),
          v = hn::Sub(x[3], x[4]);
  y[0] = hn::Add(hn::Add(x[0], s), u);
  y[1] = hn::MulAdd(hn::Set(d, b), v, hn::Mul(hn::Set(d, a), t));
  y[2] = hn::MulAdd(hn::Set(d, bb), u, hn::Mul(hn::Set(d, aa), s));
  y[3] = hn::MulAdd(hn::Set(d, bbb), v, hn::MulAdd(hn::Set(d, aaa), t, x[5]));
}

/// y = G x.
HWY_INLINE void Weights(const V (&x)[3], V (&y)[6]) {
  const D d;
  const V even_a = hn::MulAdd(hn::Set(d, at_a * aa), x[2], hn::Mul(hn::Set(d, at_a), x[0]));
  const V odd_a = hn::Mul(hn::Set(d, at_a * a), x[1]);
  const V even_b = hn::MulAdd(hn::Set(d, at_b * bb), x[2], hn::Mul(hn::Set(d, at_b), x[0]));
  const V odd_b = hn::Mul(hn::Set(d, at_b * b), x[1]);
  y[0] = x[0];
  y[1] = hn::Add(even_a, odd_a);
  y[2] = hn::Sub(even_a, odd_a);
  y[3] = hn::Add(even_b, odd_b);
  y[4] = hn::Sub(even_b, odd_b);
  y[5] = x[2];
}

/// y = A x.
HWY_INLINE void Gradients(const V (&x)[4], V (&y)[6]) {
  const D d;
  const V even_a = hn::MulAdd(hn::Set(d, aa), x[2], x[0]);
  const V odd_a = hn::MulAdd(hn::Set(d, aaa), x[3], hn::Mul(hn::Set(d, a), x[1]));
  const V even_b = hn::MulAdd(hn::Set(d, bb), x[2], x[0]);
  const V odd_b = hn::MulAdd(hn::Set(d, bbb), x[3], hn::Mul(hn::Set(d, b), x[1]));
  y[0] = x[0];
  y[1] = hn::Add(even_a, odd_a);
  y[2] = hn::Sub(even_a, odd_a);
  y[3] = hn::Add(even_b, odd_b);
  y[4] = hn::Sub(even_b, odd_b);
  y[5] = x[3];
}

/// y = G^T x.
HWY_INLINE void WeightSums(const V (&x)[6], V (&y)[3]) {
  const D d;
  const V s = hn::Mul(hn::Set(d, at_a), hn::Add(x[1], x[2])),
          t = hn::Mul(hn::Set(d, at_a), hn::Sub(x[1], x[2])),
          u = hn::Mul(hn::Set(d, at_b), hn::Add(x[3], x[4])),
          v = hn::Mul(hn::Set(d, at_b), hn::Sub(x[3], x[4]));
  y[0] = hn::Add(x[0], hn::Add(s, u));
  y[1] = hn::MulAdd(hn::Set(d, b), v, hn::Mul(hn::Set(d, a), t));
  y[2] = hn::MulAdd(hn::Set(d, bb), u, hn::MulAdd(hn::Set(d, aa), s, x[5]));
}

/// f over the columns and then over the rows of what load(row, column) gives.
template <int kFrom, int kTo, class F, class Load, class Store>
HWY_INLINE void BothWays(F f, Load load, Store store) {
  V half[kTo][kFrom];
#pragma GCC unroll 6
  for (int c = 0; c < kFrom; ++c) {
    V column[kFrom], some[kTo];
#pragma GCC unroll 6
    for (int r = 0; r < kFrom; ++r) column[r] = load(r, c);
    f(column, some);
#pragma GCC unroll 6
    for (int r = 0; r < kTo; ++r) half[r][c] = some[r];
  }
#pragma GCC unroll 6
  for (int r = 0; r < kTo; ++r) {
    V row[kTo];
    f(half[r], row);
#pragma GCC unroll 6
    for (int c = 0; c < kTo; ++c) store(r, c, row[c]);
  }
}

/// The parts of what lies at (top, left) of a plane, kSize by kSize; zero outside.
template <int kSize, class F>
HWY_INLINE void Parts(F f, const float* x, BlockPlane plane, int64_t top, int64_t left, float* to,
                      int64_t apart) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto store = [&](int r, int c, V v) { hn::StoreU(v, d, to + (r * 6 + c) * apart); };
  if (top >= 0 && left >= 0 && top + kSize <= plane.height && left + kSize <= plane.width) {
    const float* from = x + (top * plane.width + left) * lanes;
    return BothWays<kSize, 6>(
        f, [&](int r, int c) { return hn::LoadU(d, from + (r * plane.width + c) * lanes); }, store);
  }
  BothWays<kSize, 6>(
      f,
      [&](int r, int c) {
        const int64_t row = top + r, column = left + c;
        return row >= 0 && row < plane.height && column >= 0 && column < plane.width
                   ? hn::LoadU(d, x + (row * plane.width + column) * lanes)
                   : hn::Zero(d);
      },
      store);
}

void WindowParts(const float* x, BlockPlane plane, int64_t top, int64_t left, float* v,
                 int64_t apart) {
  Parts<6>(Window, x, plane, top, left, v, apart);
}

void GradientParts(const float* dy, BlockPlane plane, int64_t top, int64_t left, float* v,
                   int64_t apart) {
  Parts<4>(Gradients, dy, plane, top, left, v, apart);
}

void WeightParts(const float* w, bool turned, float* u, int64_t apart) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  BothWays<3, 6>(
      Weights,
      [&](int r, int c) {
        const int tap = r * 3 + c;
        return hn::LoadU(d, w + (turned ? 8 - tap : tap) * lanes);
      },
      [&](int r, int c, V v) { hn::StoreU(v, d, u + (r * 6 + c) * apart); });
}

void WeightsOf(const float* u, int64_t apart, float* w) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  BothWays<6, 3>(
      WeightSums, [&](int r, int c) { return hn::LoadU(d, u + (r * 6 + c) * apart); },
      [&](int r, int c, V v) { hn::StoreU(v, d, w + (r * 3 + c) * lanes); });
}

void ResultsOf(const float* m, int64_t apart, const BlockResults& results, const float* residual,
               int64_t width, int64_t rows, int64_t columns) {
  const D d;
  const BlockResults to = results;  // which no store can change
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const V bias = to.bias ? hn::LoadU(d, to.bias) : hn::Zero(d);
  BothWays<6, 4>(
      Results, [&](int r, int c) { return hn::LoadU(d, m + (r * 6 + c) * apart); },
      [&](int r, int c, V v) {
        if (r >= rows || c >= columns) return;
        const int64_t at = (r * width + c) * lanes;
        v = hn::Add(v, bias);
        if (residual) v = hn::Add(v, hn::LoadU(d, residual + at));
        hn::StoreU(Activated(d, to, v), d, to.y + at);
      });
}

constexpr int kMost = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 14 : 6;

template <int P, int B>
HWY_NOINLINE void Product(const WinogradProduct& t) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[P][B];
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 2
    for (int j = 0; j < B; ++j) sums[p][j] = hn::Zero(d);
  const float *u = t.u, *block = t.v;
  for (int64_t i = 0; i < t.blocks; ++i, block += t.v_apart) {
    const float* v = block;
#pragma GCC unroll 1
    for (int64_t k = 0; k < lanes; ++k, ++v, u += B * lanes) {
      V w[B];
#pragma GCC unroll 2
      for (int j = 0; j < B; ++j) w[j] = hn::LoadU(d, u + j * lanes);
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p) {
        const V x = hn::Set(d, v[p * lanes]);
#pragma GCC unroll 2
        for (int j = 0; j < B; ++j) sums[p][j] = hn::MulAdd(x, w[j], sums[p][j]);
      }
    }
  }
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 2
    for (int j = 0; j < B; ++j) hn::StoreU(sums[p][j], d, t.m + j * t.m_apart + p * lanes);
}

template <int P>
HWY_INLINE void ProductOf(const WinogradProduct& t, int64_t windows) {
  if constexpr (P > 0) {
    if (windows != P) return ProductOf<P - 1>(t, windows);
    t.two ? Product<P, 2>(t) : Product<P, 1>(t);
  }
}

// Channels of x at a time; registers have to be left.
constexpr int kChannels = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 8 : 4;

template <int B>
HWY_INLINE void WeightProduct(const WinogradWeightProduct& t) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t first = 0; first < lanes; first += kChannels) {
    float* const to = t.sums + first * 2 * lanes;
    V sums[kChannels][B];
#pragma GCC unroll 8
    for (int p = 0; p < kChannels; ++p)
#pragma GCC unroll 2
      for (int j = 0; j < B; ++j)
        sums[p][j] = t.add ? hn::LoadU(d, to + (p * 2 + j) * lanes) : hn::Zero(d);
    const float *v = t.v + first, *g = t.g;
#pragma GCC unroll 1
    for (int64_t k = 0; k < t.tiles; ++k, v += lanes, g += lanes) {
      V w[B];
#pragma GCC unroll 2
      for (int j = 0; j < B; ++j) w[j] = hn::LoadU(d, g + j * t.g_apart);
#pragma GCC unroll 8
      for (int p = 0; p < kChannels; ++p) {
        const V x = hn::Set(d, v[p]);
#pragma GCC unroll 2
        for (int j = 0; j < B; ++j) sums[p][j] = hn::MulAdd(x, w[j], sums[p][j]);
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < kChannels; ++p)
#pragma GCC unroll 2
      for (int j = 0; j < B; ++j) hn::StoreU(sums[p][j], d, to + (p * 2 + j) * lanes);
  }
}

void WeightProductOf(const WinogradWeightProduct& t) {
  t.two ? WeightProduct<2>(t) : WeightProduct<1>(t);
}

int64_t Windows() { return kMost; }
void ProductOfWindows(const WinogradProduct& t, int64_t windows) { ProductOf<kMost>(t, windows); }

}  // namespace
}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(WindowParts);
HWY_EXPORT(WeightParts);
HWY_EXPORT(GradientParts);
HWY_EXPORT(WeightsOf);
HWY_EXPORT(WeightProductOf);
HWY_EXPORT(ResultsOf);
HWY_EXPORT(Windows);
HWY_EXPORT(ProductOfWindows);

void winograd_window(const float* x, BlockPlane plane, int64_t top, int64_t left, float* v,
                     int64_t apart) {
  HWY_DYNAMIC_DISPATCH(WindowParts)(x, plane, top, left, v, apart);
}
void winograd_weights(const float* w, bool turned, float* u, int64_t apart) {
  HWY_DYNAMIC_DISPATCH(WeightParts)(w, turned, u, apart);
}
void winograd_results(const float* m, int64_t apart, const BlockResults& to, const float* residual,
                      int64_t width, int64_t rows, int64_t columns) {
  HWY_DYNAMIC_DISPATCH(ResultsOf)(m, apart, to, residual, width, rows, columns);
}
void winograd_gradient(const float* dy, BlockPlane plane, int64_t top, int64_t left, float* g,
                       int64_t apart) {
  HWY_DYNAMIC_DISPATCH(GradientParts)(dy, plane, top, left, g, apart);
}
void winograd_weight_sums(const float* u, int64_t apart, float* w) {
  HWY_DYNAMIC_DISPATCH(WeightsOf)(u, apart, w);
}
void winograd_weight_product(const WinogradWeightProduct& p) {
  HWY_DYNAMIC_DISPATCH(WeightProductOf)(p);
}
int64_t winograd_windows() { return HWY_DYNAMIC_DISPATCH(Windows)(); }
void winograd_product(const WinogradProduct& p, int64_t windows) {
  HWY_DYNAMIC_DISPATCH(ProductOfWindows)(p, windows);
}

}  // namespace nacre::cpu
#endif
