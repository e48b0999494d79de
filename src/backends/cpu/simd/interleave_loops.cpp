#include "backends/cpu/simd/interleave.h"

#include <algorithm>

namespace nacre::cpu {

namespace {
constexpr int64_t kPixels = 64;  // of a tile: its pixels of 16 channels stay in the first cache
}

void interleave(const float* from, float* to, int64_t channels, int64_t block, int64_t plane) {
  for (int64_t first = 0; first < plane; first += kPixels) {
    const int64_t n = std::min(kPixels, plane - first);
    float* tile = to + first * block;
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < n; ++p) tile[p * block + c] = from[c * plane + first + p];
    for (int64_t p = 0; p < n && channels < block; ++p)
      std::fill(tile + p * block + channels, tile + (p + 1) * block, 0.f);
  }
}

void deinterleave(const float* from, float* to, int64_t channels, int64_t block, int64_t plane) {
  for (int64_t first = 0; first < plane; first += kPixels) {
    const int64_t n = std::min(kPixels, plane - first);
    const float* tile = from + first * block;
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < n; ++p) to[c * plane + first + p] = tile[p * block + c];
  }
}

}  // namespace nacre::cpu
