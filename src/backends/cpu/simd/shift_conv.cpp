#include "backends/cpu/simd/shift_conv.h"

#include <algorithm>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/shift_conv.cpp"
#include <hwy/foreach_target.h>
// The order matters.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

// With 32 registers a block of 8 by 3 accumulators fits, with 16 one of 4 by 3.
constexpr bool kWide = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL;
constexpr int kPieces = 3;

int64_t Rows(int64_t outputs) {
  const int64_t most = kWide ? 8 : 4, blocks = (outputs + most - 1) / most;
  return ((outputs + blocks - 1) / blocks + 1) / 2 * 2;
}

template <int R>
HWY_NOINLINE void ForwardBlock(const float* HWY_RESTRICT x, const int64_t* HWY_RESTRICT offsets,
                               int64_t taps, const float* HWY_RESTRICT w, float* HWY_RESTRICT out,
                               int64_t out_stride) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[R][kPieces];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int p = 0; p < kPieces; ++p) acc[r][p] = hn::Zero(d);
  for (int64_t t = 0; t < taps; ++t, w += R) {
    const float* from = x + offsets[t];
    const V a = hn::LoadU(d, from), b = hn::LoadU(d, from + lanes);
    const V c = hn::LoadU(d, from + 2 * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const V weight = hn::Set(d, w[r]);
      acc[r][0] = hn::MulAdd(weight, a, acc[r][0]);
      acc[r][1] = hn::MulAdd(weight, b, acc[r][1]);
      acc[r][2] = hn::MulAdd(weight, c, acc[r][2]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int p = 0; p < kPieces; ++p) hn::StoreU(acc[r][p], d, out + r * out_stride + p * lanes);
}

void Forward(const float* x, const int64_t* offsets, int64_t taps, const float* w, int64_t rows,
             int64_t positions, float* out, int64_t out_stride) {
  const D d;
  const int64_t step = kPieces * static_cast<int64_t>(hn::Lanes(d));
  const auto all = [&](auto block) {
    for (int64_t p = 0; p < positions; p += step)
      block(x + p, offsets, taps, w, out + p, out_stride);
  };
  switch (rows) {
    case 2:
      return all(ForwardBlock<2>);
    case 4:
      return all(ForwardBlock<4>);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 6:
      return all(ForwardBlock<6>);
    case 8:
      return all(ForwardBlock<8>);
#endif
  }
}

// Rows and taps beyond the last repeat it; their results are dropped.
template <int R, int T>
HWY_NOINLINE void WeightBlock(const float* x, int64_t x_unit, const float* dy, int64_t dy_unit,
                              const int64_t* rows, int64_t units, int64_t positions,
                              const int64_t* offsets, float* sums) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[R][T];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) acc[r][t] = hn::Zero(d);
  for (int64_t u = 0; u < units; ++u, x += x_unit, dy += dy_unit)
    for (int64_t p = 0; p < positions; p += lanes) {
      V g[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) g[r] = hn::LoadU(d, dy + rows[r] + p);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const V v = hn::LoadU(d, x + offsets[t] + p);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) acc[r][t] = hn::MulAdd(g[r], v, acc[r][t]);
      }
    }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) sums[r * T + t] = hn::GetLane(hn::SumOfLanes(d, acc[r][t]));
}

template <int R, int T>
void WeightGradBy(const float* x, int64_t x_unit, const float* dy, int64_t dy_unit, int64_t dy_row,
                  int64_t units, int64_t positions, const int64_t* offsets, int64_t taps,
                  int64_t outputs, float* dw) {
  int64_t rows[R], shifts[T];
  float sums[R * T];
  for (int64_t o = 0; o < outputs; o += R) {
    for (int64_t r = 0; r < R; ++r) rows[r] = std::min(o + r, outputs - 1) * dy_row;
    for (int64_t t = 0; t < taps; t += T) {
      for (int64_t s = 0; s < T; ++s) shifts[s] = offsets[std::min(t + s, taps - 1)];
      WeightBlock<R, T>(x, x_unit, dy, dy_unit, rows, units, positions, shifts, sums);
      for (int64_t r = 0; r < std::min<int64_t>(R, outputs - o); ++r)
        for (int64_t s = 0; s < std::min<int64_t>(T, taps - t); ++s)
          dw[(o + r) * taps + t + s] += sums[r * T + s];
    }
  }
}

void WeightGrad(const float* x, int64_t x_unit, const float* dy, int64_t dy_unit, int64_t dy_row,
                int64_t units, int64_t positions, const int64_t* offsets, int64_t taps,
                int64_t outputs, float* dw) {
  const auto by = [&](auto grad) {
    grad(x, x_unit, dy, dy_unit, dy_row, units, positions, offsets, taps, outputs, dw);
  };
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  if (outputs == 1) return by(WeightGradBy<1, 9>);
  if (outputs % 4 && outputs % 3 == 0) return by(WeightGradBy<3, 5>);
  return taps % 5 ? by(WeightGradBy<4, 6>) : by(WeightGradBy<4, 5>);
#else
  return by(WeightGradBy<2, 5>);
#endif
}

// Eight rows at a time, so that y is read and written once for eight streams of a.
void RowByMatrix(const float* HWY_RESTRICT x, const float* HWY_RESTRICT a, int64_t stride,
                 int64_t k, int64_t n, float* HWY_RESTRICT y) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  std::fill_n(y, n, 0.f);
  int64_t i = 0;
  for (; i + 8 <= k; i += 8) {
    const float* row = a + i * stride;
    V w[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) w[r] = hn::Set(d, x[i + r]);
    int64_t j = 0;
    for (; j + lanes <= n; j += lanes) {
      V even = hn::LoadU(d, y + j), odd = hn::Zero(d);
#pragma GCC unroll 4
      for (int r = 0; r < 8; r += 2) {
        even = hn::MulAdd(w[r], hn::LoadU(d, row + r * stride + j), even);
        odd = hn::MulAdd(w[r + 1], hn::LoadU(d, row + (r + 1) * stride + j), odd);
      }
      hn::StoreU(hn::Add(even, odd), d, y + j);
    }
    for (; j < n; ++j)
      for (int r = 0; r < 8; ++r) y[j] += x[i + r] * row[r * stride + j];
  }
  for (; i < k; ++i) {
    const V w = hn::Set(d, x[i]);
    const float* row = a + i * stride;
    int64_t j = 0;
    for (; j + lanes <= n; j += lanes)
      hn::StoreU(hn::MulAdd(w, hn::LoadU(d, row + j), hn::LoadU(d, y + j)), d, y + j);
    for (; j < n; ++j) y[j] += x[i] * row[j];
  }
}

// R rows of a by the column.
template <int R>
void Dots(const float* HWY_RESTRICT a, int64_t stride, const float* HWY_RESTRICT x, int64_t k,
          float* HWY_RESTRICT y) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) acc[r] = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= k; i += lanes) {
    const V v = hn::LoadU(d, x + i);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) acc[r] = hn::MulAdd(v, hn::LoadU(d, a + r * stride + i), acc[r]);
  }
  for (int r = 0; r < R; ++r) {
    float sum = hn::GetLane(hn::SumOfLanes(d, acc[r]));
    for (int64_t rest = i; rest < k; ++rest) sum += a[r * stride + rest] * x[rest];
    y[r] = sum;
  }
}

void MatrixByColumn(const float* a, int64_t stride, const float* x, int64_t n, int64_t k,
                    float* y) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) Dots<4>(a + j * stride, stride, x, k, y + j);
  for (; j < n; ++j) Dots<1>(a + j * stride, stride, x, k, y + j);
}

}  // namespace HWY_NAMESPACE
}  // namespace nacre::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Rows);
HWY_EXPORT(Forward);
HWY_EXPORT(WeightGrad);
HWY_EXPORT(RowByMatrix);
HWY_EXPORT(MatrixByColumn);

int64_t shift_rows(int64_t outputs) { return HWY_DYNAMIC_DISPATCH(Rows)(outputs); }

void shift_forward(const float* x, const int64_t* offsets, int64_t taps, const float* weights,
                   int64_t rows, int64_t positions, float* out, int64_t out_stride) {
  HWY_DYNAMIC_DISPATCH(Forward)(x, offsets, taps, weights, rows, positions, out, out_stride);
}

void shift_weight_grad(const float* x, int64_t x_unit, const float* dy, int64_t dy_unit,
                       int64_t dy_row, int64_t units, int64_t positions, const int64_t* offsets,
                       int64_t taps, int64_t outputs, float* dw) {
  HWY_DYNAMIC_DISPATCH(WeightGrad)
  (x, x_unit, dy, dy_unit, dy_row, units, positions, offsets, taps, outputs, dw);
}

void row_by_matrix(const float* x, const float* a, int64_t stride, int64_t k, int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(RowByMatrix)(x, a, stride, k, n, y);
}

void matrix_by_column(const float* a, int64_t stride, const float* x, int64_t n, int64_t k,
                      float* y) {
  HWY_DYNAMIC_DISPATCH(MatrixByColumn)(a, stride, x, n, k, y);
}

}  // namespace nacre::cpu
#endif
