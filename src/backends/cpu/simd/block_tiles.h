// Tiles of convolutions whose channels lie in blocks of a vector, f32: some neighbouring pixels of
// a block of results, which stay in registers while all that is added to them passes by.
#pragma once

#include <cmath>
#include <cstdint>

namespace nacre::cpu {

/// What a tile's sums become and where they lie: act(sum + bias), limited to [low, high]. A pixel
/// has a number for each lane; the next pixel lies behind it.
struct BlockResults {
  const float* bias = nullptr;
  float* y = nullptr;  ///< of the first pixel
  bool swish = false;  ///< y * sigmoid(y) before the limits
  float low = -INFINITY, high = INFINITY;
};

/// A convolution by 1x1.
struct PointwiseTile {
  const float* x = nullptr;  ///< of the first pixel and the first block of channels
  int64_t apart = 0;         ///< between blocks
  int64_t blocks = 0;        ///< of channels of x
  const float* w = nullptr;  ///< [blocks, lanes, lanes]: of a channel of x, its results' weights
  BlockResults to;
};

/// A depthwise convolution.
struct DepthwiseTile {
  const float* const* rows = nullptr;  ///< of x, for each row of taps
  int64_t column = 0;                  ///< from a row's begin to what the first pixel reads first
  int64_t kernel[2] = {1, 1};
  int64_t stride = 1;        ///< along a row, 1 or 2
  const float* w = nullptr;  ///< [*kernel, lanes]
  BlockResults to;
};

/// Lanes of a vector: 16, 8, 4, or 1 where there are no vectors.
int64_t block_lanes();
/// Pixels that a tile has at most.
int64_t block_pixels();
void pointwise_tile(const PointwiseTile& t, int64_t pixels);
void depthwise_tile(const DepthwiseTile& t, int64_t pixels);

}  // namespace nacre::cpu
