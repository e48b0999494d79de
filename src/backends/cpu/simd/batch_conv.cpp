#include "backends/cpu/simd/batch_conv.h"

#include <algorithm>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/batch_conv.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

// Sides of a tile of sums that are kept in registers: with 32 of them 5 by 5 fit, with 16 3 by 3.
constexpr int64_t kTile = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 5 : 3;

/// Calls f(begin, length) for pieces of [0, n) of at most kTile, as equal as they come.
template <class F>
void EachPiece(int64_t n, F f) {
  const int64_t pieces = (n + kTile - 1) / kTile;
  for (int64_t i = 0; i < pieces; ++i) f(n * i / pieces, n * (i + 1) / pieces - n * i / pieces);
}

/// Tile<R, C>::Run(args...) for sides up to kTile.
template <template <int, int> class Tile, int R, class... Args>
HWY_INLINE void RunColumns(int64_t columns, const Args&... args) {
  switch (columns) {
    case 1:
      return Tile<R, 1>::Run(args...);
    case 2:
      return Tile<R, 2>::Run(args...);
    case 3:
      return Tile<R, 3>::Run(args...);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 4:
      return Tile<R, 4>::Run(args...);
    case 5:
      return Tile<R, 5>::Run(args...);
#endif
  }
}
template <template <int, int> class Tile, class... Args>
HWY_INLINE void RunTile(int64_t rows, int64_t columns, const Args&... args) {
  switch (rows) {
    case 1:
      return RunColumns<Tile, 1>(columns, args...);
    case 2:
      return RunColumns<Tile, 2>(columns, args...);
    case 3:
      return RunColumns<Tile, 3>(columns, args...);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 4:
      return RunColumns<Tile, 4>(columns, args...);
    case 5:
      return RunColumns<Tile, 5>(columns, args...);
#endif
  }
}

int64_t BatchLanes() { return static_cast<int64_t>(hn::Lanes(D())); }

/// R channels of C pixels of y, from `to` on.
template <int R, int C>
struct ForwardTile {
  static HWY_NOINLINE void Run(const BatchConv& c, const float* x, const float* w, float* to) {
    const D d;
    const int64_t lanes = BatchLanes(), step = c.plane.stride[1] * lanes;
    const int64_t per = c.ins * c.plane.taps(), apart = c.plane.out_plane() * lanes;
    const int64_t line = c.plane.dilation[0] * c.frame(1) * lanes;
    const int64_t across = c.plane.dilation[1] * lanes;
    V acc[R][C];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int p = 0; p < C; ++p) acc[r][p] = hn::Zero(d);
    for (int64_t i = 0; i < c.ins; ++i, x += c.frame_plane() * lanes)
      for (int64_t a = 0; a < c.plane.kernel[0]; ++a) {
        const float* from = x + a * line;
        for (int64_t b = 0; b < c.plane.kernel[1]; ++b, from += across, ++w) {
          V v[C];
#pragma GCC unroll 5
          for (int p = 0; p < C; ++p) v[p] = hn::LoadU(d, from + p * step);
#pragma GCC unroll 5
          for (int r = 0; r < R; ++r) {
            const V weight = hn::Set(d, w[r * per]);
#pragma GCC unroll 5
            for (int p = 0; p < C; ++p) acc[r][p] = hn::MulAdd(weight, v[p], acc[r][p]);
          }
        }
      }
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int p = 0; p < C; ++p) hn::StoreU(acc[r][p], d, to + r * apart + p * lanes);
  }
};

void Forward(const BatchConv& c, const float* x, const float* w, float* y) {
  const int64_t lanes = BatchLanes(), per = c.ins * c.plane.taps();
  for (int64_t r = 0; r < c.plane.out[0]; ++r)
    EachPiece(c.plane.out[1], [&](int64_t column, int64_t columns) {
      const float* from =
          x + (r * c.plane.stride[0] * c.frame(1) + column * c.plane.stride[1]) * lanes;
      float* to = y + (r * c.plane.out[1] + column) * lanes;
      EachPiece(c.outs, [&](int64_t o, int64_t outs) {
        RunTile<ForwardTile>(outs, columns, c, from, w + o * per,
                             to + o * c.plane.out_plane() * lanes);
      });
    });
}

/// Adds to dx, from `to` on, what C pixels of dy give it through R taps across.
template <int R, int C>
struct InputGradTile {
  static HWY_NOINLINE void Run(const BatchConv& c, const float* dy, const float* w, float* to) {
    const D d;
    const int64_t lanes = BatchLanes();
    const int64_t per = c.ins * c.plane.taps(), apart = c.plane.out_plane() * lanes;
    V acc[R][C];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int p = 0; p < C; ++p) acc[r][p] = hn::Zero(d);
    for (int64_t o = 0; o < c.outs; ++o, dy += apart, w += per) {
      V v[C];
#pragma GCC unroll 5
      for (int p = 0; p < C; ++p) v[p] = hn::LoadU(d, dy + p * lanes);
#pragma GCC unroll 5
      for (int r = 0; r < R; ++r) {
        const V weight = hn::Set(d, w[r]);
#pragma GCC unroll 5
        for (int p = 0; p < C; ++p) acc[r][p] = hn::MulAdd(weight, v[p], acc[r][p]);
      }
    }
    const int64_t step = c.plane.stride[1] * lanes, across = c.plane.dilation[1] * lanes;
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int p = 0; p < C; ++p) {
        float* at = to + r * across + p * step;
        hn::StoreU(hn::Add(hn::LoadU(d, at), acc[r][p]), d, at);
      }
  }
};

void InputGrad(const BatchConv& c, const float* dy, const float* w, float* dx) {
  const int64_t lanes = BatchLanes();
  std::fill_n(dx, c.ins * c.frame_plane() * lanes, 0.f);
  for (int64_t r = 0; r < c.plane.out[0]; ++r)
    EachPiece(c.plane.out[1], [&](int64_t column, int64_t columns) {
      const float* from = dy + (r * c.plane.out[1] + column) * lanes;
      for (int64_t i = 0; i < c.ins; ++i)
        for (int64_t a = 0; a < c.plane.kernel[0]; ++a) {
          const int64_t row = r * c.plane.stride[0] + a * c.plane.dilation[0];
          const int64_t tap = i * c.plane.taps() + a * c.plane.kernel[1];
          float* to =
              dx + ((i * c.frame(0) + row) * c.frame(1) + column * c.plane.stride[1]) * lanes;
          EachPiece(c.plane.kernel[1], [&](int64_t b, int64_t taps) {
            RunTile<InputGradTile>(taps, columns, c, from, w + tap + b,
                                   to + b * c.plane.dilation[1] * lanes);
          });
        }
    });
}

/// Adds the products of R channels of dy with x at C taps across to sums.
template <int R, int C>
struct WeightGradTile {
  static HWY_NOINLINE void Run(const BatchConv& c, const float* x, const float* dy, float* sums) {
    const D d;
    const int64_t lanes = BatchLanes(), step = c.plane.stride[1] * lanes;
    const int64_t per = c.ins * c.plane.taps() * lanes, apart = c.plane.out_plane() * lanes;
    const int64_t line = c.plane.stride[0] * c.frame(1) * lanes;
    const int64_t across = c.plane.dilation[1] * lanes;
    V acc[R][C];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int t = 0; t < C; ++t) acc[r][t] = hn::LoadU(d, sums + r * per + t * lanes);
    for (int64_t row = 0; row < c.plane.out[0]; ++row, x += line) {
      const float* from = x;
      for (int64_t p = 0; p < c.plane.out[1]; ++p, from += step, dy += lanes) {
        V v[R];
#pragma GCC unroll 5
        for (int r = 0; r < R; ++r) v[r] = hn::LoadU(d, dy + r * apart);
#pragma GCC unroll 5
        for (int t = 0; t < C; ++t) {
          const V at = hn::LoadU(d, from + t * across);
#pragma GCC unroll 5
          for (int r = 0; r < R; ++r) acc[r][t] = hn::MulAdd(v[r], at, acc[r][t]);
        }
      }
    }
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int t = 0; t < C; ++t) hn::StoreU(acc[r][t], d, sums + r * per + t * lanes);
  }
};

void WeightGrad(const BatchConv& c, const float* x, const float* dy, float* sums) {
  const int64_t lanes = BatchLanes(), per = c.ins * c.plane.taps();
  EachPiece(c.outs, [&](int64_t o, int64_t outs) {
    for (int64_t i = 0; i < c.ins; ++i)
      for (int64_t a = 0; a < c.plane.kernel[0]; ++a) {
        const float* from = x + (i * c.frame(0) + a * c.plane.dilation[0]) * c.frame(1) * lanes;
        const int64_t tap = o * per + i * c.plane.taps() + a * c.plane.kernel[1];
        EachPiece(c.plane.kernel[1], [&](int64_t b, int64_t taps) {
          RunTile<WeightGradTile>(outs, taps, c, from + b * c.plane.dilation[1] * lanes,
                                  dy + o * c.plane.out_plane() * lanes, sums + (tap + b) * lanes);
        });
      }
  });
}

void AddLanes(const float* sums, int64_t n, float* to) {
  const D d;
  const int64_t lanes = BatchLanes();
  for (int64_t i = 0; i < n; ++i)
    to[i] = hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + i * lanes)));
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(BatchLanes);
HWY_EXPORT(Forward);
HWY_EXPORT(InputGrad);
HWY_EXPORT(WeightGrad);
HWY_EXPORT(AddLanes);

int64_t batch_lanes() { return HWY_DYNAMIC_DISPATCH(BatchLanes)(); }

void batch_forward(const BatchConv& c, const float* x, const float* w, float* y) {
  HWY_DYNAMIC_DISPATCH(Forward)(c, x, w, y);
}
void batch_input_grad(const BatchConv& c, const float* dy, const float* w, float* dx) {
  HWY_DYNAMIC_DISPATCH(InputGrad)(c, dy, w, dx);
}
void batch_weight_grad(const BatchConv& c, const float* x, const float* dy, float* sums) {
  HWY_DYNAMIC_DISPATCH(WeightGrad)(c, x, dy, sums);
}
void add_lanes(const float* sums, int64_t n, float* to) {
  HWY_DYNAMIC_DISPATCH(AddLanes)(sums, n, to);
}

}  // namespace nacre::cpu
#endif
