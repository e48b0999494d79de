#include "backends/cpu/simd/block_tiles.h"

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/block_tiles.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>
#include "backends/cpu/simd/block_results_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace {  // other files have functions of these names

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;

// Sums of a tile: each added to every 4 cycles keeps the units busy, and registers have to be left.
constexpr int kPixels = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 14 : 12;

template <int P>
HWY_INLINE void Begin(const BlockResults& to, V (&acc)[P]) {
  const V bias = hn::LoadU(D(), to.bias);
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) acc[p] = bias;
}

template <int P>
HWY_INLINE void Finish(const BlockResults& results, V (&acc)[P]) {
  const D d;
  const BlockResults to = results;  // which no store can change
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) hn::StoreU(Activated(d, to, acc[p]), d, to.y + p * lanes);
}

template <int P>
struct Pointwise {
  static HWY_NOINLINE void Run(const PointwiseTile& t) {
    const D d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    V acc[P];
    Begin<P>(t.to, acc);
    const float *w = t.w, *block = t.x;
    for (int64_t i = 0; i < t.blocks; ++i, block += t.apart) {
      const float* x = block;
#pragma GCC unroll 1
      for (int64_t k = 0; k < lanes; ++k, ++x, w += lanes) {
        const V v = hn::LoadU(d, w);
#pragma GCC unroll 14
        for (int p = 0; p < P; ++p) acc[p] = hn::MulAdd(hn::Set(d, x[p * lanes]), v, acc[p]);
      }
    }
    Finish<P>(t.to, acc);
  }
};

template <int P, int kStride>
HWY_INLINE void DepthwiseOf(const DepthwiseTile& t) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[P];
  Begin<P>(t.to, acc);
  const float* w = t.w;
  for (int64_t i = 0; i < t.kernel[0]; ++i) {
    const float* x = t.rows[i] + t.column;
    for (int64_t k = 0; k < t.kernel[1]; ++k, x += lanes, w += lanes) {
      const V v = hn::LoadU(d, w);
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p)
        acc[p] = hn::MulAdd(v, hn::LoadU(d, x + p * kStride * lanes), acc[p]);
    }
  }
  Finish<P>(t.to, acc);
}

template <int P>
struct Depthwise {
  static HWY_NOINLINE void Run(const DepthwiseTile& t) {
    t.stride == 1 ? DepthwiseOf<P, 1>(t) : DepthwiseOf<P, 2>(t);
  }
};

template <template <int> class Tile, class T>
HWY_INLINE void OfPixels(const T& t, int64_t pixels) {
  switch (pixels) {
    case 1:
      return Tile<1>::Run(t);
    case 2:
      return Tile<2>::Run(t);
    case 3:
      return Tile<3>::Run(t);
    case 4:
      return Tile<4>::Run(t);
    case 5:
      return Tile<5>::Run(t);
    case 6:
      return Tile<6>::Run(t);
    case 7:
      return Tile<7>::Run(t);
    case 8:
      return Tile<8>::Run(t);
    case 9:
      return Tile<9>::Run(t);
    case 10:
      return Tile<10>::Run(t);
    case 11:
      return Tile<11>::Run(t);
    case 12:
      return Tile<12>::Run(t);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 13:
      return Tile<13>::Run(t);
    case 14:
      return Tile<14>::Run(t);
#endif
  }
}

int64_t BlockLanes() { return static_cast<int64_t>(hn::Lanes(D())); }
int64_t BlockPixels() { return kPixels; }
void PointwiseOf(const PointwiseTile& t, int64_t pixels) { OfPixels<Pointwise>(t, pixels); }
void DepthwiseOfPixels(const DepthwiseTile& t, int64_t pixels) { OfPixels<Depthwise>(t, pixels); }

}  // namespace
}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(BlockLanes);
HWY_EXPORT(BlockPixels);
HWY_EXPORT(PointwiseOf);
HWY_EXPORT(DepthwiseOfPixels);

int64_t block_lanes() { return HWY_DYNAMIC_DISPATCH(BlockLanes)(); }
int64_t block_pixels() { return HWY_DYNAMIC_DISPATCH(BlockPixels)(); }
void pointwise_tile(const PointwiseTile& t, int64_t pixels) {
  HWY_DYNAMIC_DISPATCH(PointwiseOf)(t, pixels);
}
void depthwise_tile(const DepthwiseTile& t, int64_t pixels) {
  HWY_DYNAMIC_DISPATCH(DepthwiseOfPixels)(t, pixels);
}

}  // namespace nacre::cpu
#endif
