#include "backends/cpu/simd/depthwise.h"

#include <algorithm>
#include <numeric>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/depthwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Of a weight gradient, the rows and columns of taps that are summed together. With 32 registers 5
// by 5 sums fit, with 16 those of 3 by 3.
constexpr int64_t kTile = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 5 : 3;
constexpr int64_t kRows = 4;              // of results, that are summed together
constexpr int64_t kBandFloats = 1 << 13;  // copied rows that are worked on together

constexpr int64_t Round(int64_t n) { return (n + 15) / 16 * 16; }

int64_t Floats(const ConvPlane& s);

/// The taps t with t * dilation % stride == residue: `count` of them from `first` on, `step` apart.
struct Taps {
  int64_t first = 0, step = 1, count = 0;
  Taps(const ConvPlane& s, size_t d, int64_t residue) {
    step = s.stride[d] / std::gcd(s.stride[d], s.dilation[d]);
    while (first < step && first * s.dilation[d] % s.stride[d] != residue) ++first;
    if (first < step && first < s.kernel[d]) count = (s.kernel[d] - 1 - first) / step + 1;
  }
};

/// Rows of results that are worked on together, for which `span` rows of `floats` are copied, and
/// `step` more for each further one.
int64_t Band(int64_t floats, int64_t span, int64_t step, int64_t results) {
  return std::clamp<int64_t>((kBandFloats / floats - span) / step + 1, 1, results);
}

/// Every s-th column of an input: `count` numbers from column `from` on lie at `at`.
struct Phase {
  int64_t at, from, count;
};

/// Rows of the input, copied. Column c of the outputs reads tap t at offset(t) + c.
struct InputRows {
  const ConvPlane& s;
  int64_t pitch, floats;  // of a phase, of a row
  Phase phases[kDepthwiseStride];
  explicit InputRows(const ConvPlane& shape)
      : s(shape),
        pitch(Round(Round(s.out[1]) + (s.kernel[1] - 1) * s.dilation[1] / s.stride[1])),
        floats(s.stride[1] * pitch) {
    const int64_t step = s.stride[1];
    for (int64_t q = 0; q < step; ++q) {
      const int64_t at = std::max<int64_t>(0, s.pad[1] - q + step - 1) / step;
      const int64_t from = at * step + q - s.pad[1];
      const int64_t count = std::min((s.in[1] - from + step - 1) / step, pitch - at);
      phases[q] = {q * pitch + at, from, std::max<int64_t>(0, count)};
    }
  }
  int64_t offset(int64_t tap) const {
    const int64_t v = tap * s.dilation[1];
    return v % s.stride[1] * pitch + v / s.stride[1];
  }
  int64_t span() const { return (s.kernel[0] - 1) * s.dilation[0] + 1; }
  int64_t band() const { return Band(floats, span(), s.stride[0], s.out[0]); }
  /// Writes nothing but the numbers: the zeros around them stay.
  void copy(const float* x, float* to) const;
};

template <class D>
HWY_INLINE void CopyRow(D d, const float* from, int64_t n, float* to) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes) hn::StoreU(hn::LoadU(d, from + k), d, to + k);
  if (k == n) return;
  const auto rest = hn::FirstN(d, static_cast<size_t>(n - k));
  hn::BlendedStore(hn::MaskedLoad(rest, d, from + k), rest, d, to + k);
}

/// From `k` on, as far as whole vectors go: even[i] = from[2 i], odd[i] = from[2 i + 1].
template <class D>
HWY_INLINE int64_t SplitRow(D d, const float* from, int64_t k, int64_t n, float* even, float* odd) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; k + lanes <= n; k += lanes) {
    hn::Vec<D> a, b;
    hn::LoadInterleaved2(d, from + 2 * k, a, b);
    hn::StoreU(a, d, even + k);
    hn::StoreU(b, d, odd + k);
  }
  return k;
}

template <class D>
HWY_INLINE int64_t JoinRow(D d, const float* even, const float* odd, int64_t k, int64_t n,
                           float* to) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; k + lanes <= n; k += lanes)
    hn::StoreInterleaved2(hn::LoadU(d, even + k), hn::LoadU(d, odd + k), d, to + 2 * k);
  return k;
}

void InputRows::copy(const float* x, float* to) const {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 4> quarter;
  if (s.stride[1] == 1) return CopyRow(d, x, phases[0].count, to + phases[0].at);
  int64_t done = 0;
  if (s.stride[1] == 2) {
    const Phase &even = phases[phases[0].from], &odd = phases[phases[1].from];
    const int64_t both = std::min(even.count, odd.count);
    done = SplitRow(d, x, 0, both, to + even.at, to + odd.at);
    done = SplitRow(quarter, x, done, both, to + even.at, to + odd.at);
  }
  for (int64_t q = 0; q < s.stride[1]; ++q) {
    const Phase& p = phases[q];
    for (int64_t k = done; k < p.count; ++k) to[p.at + k] = x[p.from + k * s.stride[1]];
  }
}

/// The taps across that a result is a sum of: `offsets` in a copied row, of the weights from
/// `first` on, `step` apart.
struct Across {
  int64_t count = 0, first = 0, step = 1;
  int64_t offsets[kDepthwiseTaps];
};

/// The taps down: each reads the row `line` floats after that of the one before and has its weights
/// `weights` floats later. The next row of results starts from `row` floats on.
struct Down {
  int64_t count, line, weights, row;
};

template <int R, int C, class D>
HWY_INLINE void SumBlock(D d, const float* x, const float* w, const Down& down,
                         const Across& across, int64_t column, int64_t left, float* to,
                         int64_t to_row) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> acc[R][C];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) acc[r][c] = hn::Zero(d);
  for (int64_t a = 0; a < down.count; ++a)
    for (int64_t b = 0; b < across.count; ++b) {
      const auto weight = hn::Set(d, w[a * down.weights + b * across.step]);
      const float* from = x + a * down.line + across.offsets[b] + column;
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c)
          acc[r][c] = hn::MulAdd(weight, hn::LoadU(d, from + r * down.row + c * lanes), acc[r][c]);
    }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c) {
      float* out = to + r * to_row + column + c * lanes;
      if (left >= (c + 1) * lanes)
        hn::StoreU(acc[r][c], d, out);
      else
        hn::BlendedStore(acc[r][c], hn::FirstN(d, static_cast<size_t>(left - c * lanes)), d, out);
    }
}

template <int R, class D>
HWY_NOINLINE void SumRows(D d, const float* x, const float* w, const Down& down,
                          const Across& across, int64_t width, float* to, int64_t to_row) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes < width; c += 2 * lanes)
    SumBlock<R, 2>(d, x, w, down, across, c, width - c, to, to_row);
  if (c < width) SumBlock<R, 1>(d, x, w, down, across, c, width - c, to, to_row);
}

/// The first `width` results of 1 to kRows rows, which are `to_row` floats apart.
HWY_INLINE void SumRows(int64_t rows, const float* x, const float* w, const Down& down,
                        const Across& across, int64_t width, float* to, int64_t to_row) {
  const hn::CappedTag<float, 8> d;
  w += across.first;
  switch (rows) {
    case 1:
      return SumRows<1>(d, x, w, down, across, width, to, to_row);
    case 2:
      return SumRows<2>(d, x, w, down, across, width, to, to_row);
    case 3:
      return SumRows<3>(d, x, w, down, across, width, to, to_row);
    default:
      return SumRows<4>(d, x, w, down, across, width, to, to_row);
  }
}

void Forward(const ConvPlane& s, const float* x, const float* w, int64_t channels, int64_t first,
             int64_t last, float* y, float* scratch) {
  const InputRows rows(s);
  const int64_t band = rows.band();
  std::fill_n(scratch, Floats(s), 0.f);
  Across across;
  across.count = s.kernel[1];
  for (int64_t b = 0; b < across.count; ++b) across.offsets[b] = rows.offset(b);
  const Down down{s.kernel[0], s.dilation[0] * rows.floats, s.kernel[1], s.stride[0] * rows.floats};
  for (int64_t p = first; p < last; ++p)
    for (int64_t r0 = 0; r0 < s.out[0]; r0 += band) {
      const int64_t r1 = std::min(s.out[0], r0 + band), top = r0 * s.stride[0] - s.pad[0];
      for (int64_t i = 0; i < (r1 - r0 - 1) * s.stride[0] + rows.span(); ++i) {
        const int64_t u = top + i;
        if (u >= 0 && u < s.in[0])
          rows.copy(x + p * s.in_plane() + u * s.in[1], scratch + i * rows.floats);
        else if (band < s.out[0])
          std::fill_n(scratch + i * rows.floats, rows.floats, 0.f);
      }
      for (int64_t r = r0; r < r1; r += kRows)
        SumRows(std::min(kRows, r1 - r), scratch + (r - r0) * down.row, w + p % channels * s.taps(),
                down, across, s.out[1], y + p * s.out_plane() + r * s.out[1], s.out[1]);
    }
}

/// Rows of dy, copied: result k of a phase of the columns of dx reads tap t at offset(t) + k. That
/// phase q holds the columns stride * (base + k) + q - pad.
struct GradRows {
  const ConvPlane& s;
  int64_t base, width, left, pitch;
  explicit GradRows(const ConvPlane& shape)
      : s(shape),
        base(s.pad[1] / s.stride[1]),
        width((s.in[1] - 1 + s.pad[1]) / s.stride[1] - base + 1),
        left(std::max<int64_t>(0, (s.kernel[1] - 1) * s.dilation[1] / s.stride[1] - base)),
        pitch(Round(Round(width) + base + left)) {}
  int64_t offset(int64_t tap) const { return base + left - tap * s.dilation[1] / s.stride[1]; }
  /// Rows of dx, a multiple of the stride, and the rows of dy that they read.
  int64_t band() const {
    const int64_t step = s.stride[0];
    return step * Band(pitch, reach() / step + 1, 1, (s.in[0] + step - 1) / step);
  }
  int64_t span() const { return (band() - 1 + reach()) / s.stride[0] + 2; }
  int64_t reach() const { return (s.kernel[0] - 1) * s.dilation[0]; }
  void copy(const float* dy, float* to) const {
    CopyRow(hn::CappedTag<float, 16>(), dy, std::min(s.out[1], pitch - left), to + left);
  }
};

/// A row of dx from the results of its phases, which are `pitch` apart.
void JoinPhases(const GradRows& rows, const float* results, int64_t pitch, float* dx) {
  const int64_t step = rows.s.stride[1], width = rows.s.in[1], pad = rows.s.pad[1];
  int64_t done = 0;
  if (step == 2) {
    const int64_t q = pad % 2;  // of even columns
    const float *even = results + q * pitch, *odd = results + (1 - q) * pitch + q;
    done = JoinRow(hn::CappedTag<float, 16>(), even, odd, 0, width / 2, dx);
    done = 2 * JoinRow(hn::CappedTag<float, 4>(), even, odd, done, width / 2, dx);
  }
  for (int64_t j = done; j < width; ++j) {
    const int64_t v = j + pad;
    dx[j] = results[v % step * pitch + v / step - rows.base];
  }
}

void InputGrad(const ConvPlane& s, const float* dy, const float* w, int64_t channels, int64_t first,
               int64_t last, float* dx, float* scratch) {
  const GradRows rows(s);
  const int64_t step = s.stride[0], pitch = Round(rows.width), band = rows.band();
  float* results = scratch;
  float* copies = results + kRows * s.stride[1] * pitch;
  std::fill_n(scratch, Floats(s), 0.f);
  Across across[kDepthwiseStride];
  for (int64_t q = 0; q < s.stride[1]; ++q) {
    const Taps taps(s, 1, q);
    across[q].count = taps.count;
    across[q].first = taps.first;
    across[q].step = taps.step;
    for (int64_t k = 0; k < taps.count; ++k)
      across[q].offsets[k] = rows.offset(taps.first + k * taps.step);
  }
  for (int64_t p = first; p < last; ++p)
    for (int64_t i0 = 0; i0 < s.in[0]; i0 += band) {
      const int64_t i1 = std::min(s.in[0], i0 + band);
      // The first row of dy that is read, rounded down.
      const int64_t low = i0 + s.pad[0] - rows.reach();
      const int64_t r0 = low >= 0 ? low / step : -((step - 1 - low) / step);
      for (int64_t r = r0; r <= (i1 - 1 + s.pad[0]) / step; ++r) {
        float* to = copies + (r - r0) * rows.pitch;
        if (r >= 0 && r < s.out[0])
          rows.copy(dy + p * s.out_plane() + r * s.out[1], to);
        else if (band < s.in[0])
          std::fill_n(to, rows.pitch, 0.f);
      }
      // Rows i, i + step, ... are sums over the same taps.
      for (int64_t i = i0; i < std::min(i1, i0 + step); ++i) {
        const Taps taps(s, 0, (i + s.pad[0]) % step);
        const Down down{taps.count, -(taps.step * s.dilation[0] / step) * rows.pitch,
                        taps.step * s.kernel[1], rows.pitch};
        const float* weights = w + p % channels * s.taps() + taps.first * s.kernel[1];
        const float* from =
            copies + ((i + s.pad[0] - taps.first * s.dilation[0]) / step - r0) * rows.pitch;
        for (int64_t at = i; at < i1; at += kRows * step, from += kRows * rows.pitch) {
          const int64_t n = std::min(kRows, (i1 - at + step - 1) / step);
          float* to = dx + p * s.in_plane() + at * s.in[1];
          if (s.stride[1] == 1) {
            SumRows(n, from, weights, down, across[0], rows.width, to, step * s.in[1]);
            continue;
          }
          for (int64_t q = 0; q < s.stride[1]; ++q)
            SumRows(n, from, weights, down, across[q], rows.width, results + q * pitch,
                    s.stride[1] * pitch);
          for (int64_t j = 0; j < n; ++j)
            JoinPhases(rows, results + j * s.stride[1] * pitch, pitch, to + j * step * s.in[1]);
        }
      }
    }
}

/// Rows of images of one channel, copied, and where their rows of dy lie.
struct GradTask {
  const InputRows& rows;
  const float *copies, *dy, *zeros;
  int64_t images, dy_step;      // floats between images of dy
  int64_t first, last, height;  // rows of the input that are there, rows that have room
};

/// Adds to sums[a * kernel + b] the products of the R taps `down` from k on with the T taps across
/// from b on. An input row meets a row of dy for each a.
template <int R, int T, class D>
HWY_NOINLINE void WeightTile(D d, const GradTask& g, const Taps& down, int64_t k, int64_t b,
                             float* sums) {
  const ConvPlane& s = g.rows.s;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = s.out[1], whole = width / lanes * lanes, step = s.stride[0];
  const auto all = hn::FirstN(d, hn::Lanes(d)),
             rest = hn::FirstN(d, static_cast<size_t>(width - whole));
  int64_t offsets[T];
  for (int t = 0; t < T; ++t) offsets[t] = g.rows.offset(b + t);
  // From the first of the rows that the taps read: row `top` of dy reads it as tap k.
  const int64_t tap = down.first + k * down.step, place = tap * s.dilation[0] - s.pad[0];
  const int64_t start = g.first + ((place - g.first) % step + step) % step;
  const int64_t top = (start - place) / step, apart = down.step * s.dilation[0] / step;
  hn::Vec<D> acc[R][T];
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t) acc[r][t] = hn::Zero(d);
  for (int64_t n = 0; n < g.images; ++n)
    for (int64_t i = start, row = top; i < g.last; i += step, ++row) {
      const float* x = g.copies + (n * g.height + i - g.first) * g.rows.floats;
      const float* dy[R];
      bool any = false;
      for (int r = 0; r < R; ++r) {
        const int64_t at = row - r * apart;
        const bool inside = at >= 0 && at < s.out[0];
        dy[r] = inside ? g.dy + n * g.dy_step + at * width : g.zeros;
        any = any || inside;
      }
      if (!any) continue;
      for (int64_t c = 0; c < width; c += lanes) {
        const auto there = c < whole ? all : rest;
        hn::Vec<D> v[R];
#pragma GCC unroll 5
        for (int r = 0; r < R; ++r) v[r] = hn::MaskedLoad(there, d, dy[r] + c);
#pragma GCC unroll 5
        for (int t = 0; t < T; ++t) {
          const auto at = hn::LoadU(d, x + offsets[t] + c);
#pragma GCC unroll 5
          for (int r = 0; r < R; ++r) acc[r][t] = hn::MulAdd(v[r], at, acc[r][t]);
        }
      }
    }
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t)
      sums[(tap + r * down.step) * s.kernel[1] + b + t] +=
          hn::GetLane(hn::SumOfLanes(d, acc[r][t]));
}

template <int R, class D>
void WeightTiles(D d, int64_t columns, const GradTask& g, const Taps& down, int64_t k, int64_t b,
                 float* sums) {
  switch (columns) {
    case 1:
      return WeightTile<R, 1>(d, g, down, k, b, sums);
    case 2:
      return WeightTile<R, 2>(d, g, down, k, b, sums);
    case 3:
      return WeightTile<R, 3>(d, g, down, k, b, sums);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 4:
      return WeightTile<R, 4>(d, g, down, k, b, sums);
    case 5:
      return WeightTile<R, 5>(d, g, down, k, b, sums);
#endif
  }
}

template <class D>
void WeightTiles(D d, int64_t rows, int64_t columns, const GradTask& g, const Taps& down, int64_t k,
                 int64_t b, float* sums) {
  switch (rows) {
    case 1:
      return WeightTiles<1>(d, columns, g, down, k, b, sums);
    case 2:
      return WeightTiles<2>(d, columns, g, down, k, b, sums);
    case 3:
      return WeightTiles<3>(d, columns, g, down, k, b, sums);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 4:
      return WeightTiles<4>(d, columns, g, down, k, b, sums);
    case 5:
      return WeightTiles<5>(d, columns, g, down, k, b, sums);
#endif
  }
}

/// Calls f(begin, length) for pieces of [0, n) of at most kTile, as equal as they come.
template <class F>
void EachPiece(int64_t n, F f) {
  const int64_t pieces = (n + kTile - 1) / kTile;
  for (int64_t i = 0; i < pieces; ++i) f(n * i / pieces, n * (i + 1) / pieces - n * i / pieces);
}

void WeightGrad(const ConvPlane& s, const float* x, const float* dy, int64_t images,
                int64_t channels, int64_t first, int64_t last, float* dw, float* scratch) {
  const InputRows rows(s);
  const int64_t height = std::clamp<int64_t>(kBandFloats / rows.floats, 1, s.in[0]);
  const int64_t together = std::clamp<int64_t>(kBandFloats / (rows.floats * s.in[0]), 1, images);
  float* copies = scratch + Round(s.out[1]);  // behind a row of zeros
  std::fill_n(scratch, Floats(s), 0.f);
  std::fill(dw + first * s.taps(), dw + last * s.taps(), 0.f);
  for (int64_t c = first; c < last; ++c)
    for (int64_t n0 = 0; n0 < images; n0 += together)
      for (int64_t i0 = 0; i0 < s.in[0]; i0 += height) {
        GradTask g{rows,
                   copies,
                   dy + (n0 * channels + c) * s.out_plane(),
                   scratch,
                   std::min(together, images - n0),
                   channels * s.out_plane(),
                   i0,
                   std::min(s.in[0], i0 + height),
                   height};
        for (int64_t n = 0; n < g.images; ++n)
          for (int64_t i = i0; i < g.last; ++i)
            rows.copy(x + ((n0 + n) * channels + c) * s.in_plane() + i * s.in[1],
                      copies + (n * height + i - i0) * rows.floats);
        for (int64_t q = 0; q < s.stride[0]; ++q) {
          const Taps down(s, 0, q);
          EachPiece(down.count, [&](int64_t k, int64_t r) {
            EachPiece(s.kernel[1], [&](int64_t b, int64_t t) {
              float* sums = dw + c * s.taps();
              if (s.out[1] <= 8)
                WeightTiles(hn::CappedTag<float, 8>(), r, t, g, down, k, b, sums);
              else
                WeightTiles(hn::CappedTag<float, 16>(), r, t, g, down, k, b, sums);
            });
          });
        }
      }
}

int64_t Floats(const ConvPlane& s) {
  const InputRows rows(s);
  const GradRows grads(s);
  const int64_t forward = rows.floats * ((rows.band() - 1) * s.stride[0] + rows.span());
  const int64_t input_grad = grads.pitch * grads.span() + kRows * s.stride[1] * Round(grads.width);
  const int64_t weight_grad = Round(s.out[1]) + std::max(kBandFloats, rows.floats);
  return std::max({forward, input_grad, weight_grad});
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Floats);
HWY_EXPORT(Forward);
HWY_EXPORT(InputGrad);
HWY_EXPORT(WeightGrad);

int64_t depthwise_floats(const ConvPlane& s) { return HWY_DYNAMIC_DISPATCH(Floats)(s); }

void depthwise_forward(const ConvPlane& s, const float* x, const float* w, int64_t channels,
                       int64_t first, int64_t last, float* y, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Forward)(s, x, w, channels, first, last, y, scratch);
}

void depthwise_input_grad(const ConvPlane& s, const float* dy, const float* w, int64_t channels,
                          int64_t first, int64_t last, float* dx, float* scratch) {
  HWY_DYNAMIC_DISPATCH(InputGrad)(s, dy, w, channels, first, last, dx, scratch);
}

void depthwise_weight_grad(const ConvPlane& s, const float* x, const float* dy, int64_t images,
                           int64_t channels, int64_t first, int64_t last, float* dw,
                           float* scratch) {
  HWY_DYNAMIC_DISPATCH(WeightGrad)(s, x, dy, images, channels, first, last, dw, scratch);
}

}  // namespace nacre::cpu
#endif
