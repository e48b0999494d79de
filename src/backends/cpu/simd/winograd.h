// Winograd's convolution of 3x3 by tiles of 4x4 results (F(4x4, 3x3); Lavin and Gray 2015, Fast
// Algorithms for Convolutional Neural Networks), f32, channels in blocks of block_lanes(). A window
// of 6x6 numbers, three by three weights and four by four results each have 36 parts; parts of
// results are sums of products of those of windows and weights.
#pragma once

#include <cstdint>

#include "backends/cpu/simd/block_tiles.h"

namespace nacre::cpu {

constexpr int64_t kWinogradTile = 4, kWinogradWindow = 6, kWinogradParts = 36;

/// A plane of one block of channels, [height, width, lanes].
struct BlockPlane {
  int64_t height = 0, width = 0;
};

/// The parts of the window whose first number is at (top, left), zero outside the plane: the part i
/// goes to v + i * apart.
void winograd_window(const float* x, BlockPlane plane, int64_t top, int64_t left, float* v,
                     int64_t apart);
/// The parts of weights, `lanes` at a time: the tap i lies at w + i * lanes, or i * -lanes for
/// weights that are turned by 180 degrees.
void winograd_weights(const float* w, bool turned, float* u, int64_t apart);
/// From parts to results: to.y is that of row 0, column 0 of the tile, `rows` and `columns` of it
/// lie in the plane, whose rows are `width` wide. `residual`: null, or what is added before the
/// activation, placed as to.y is, and may be it.
void winograd_results(const float* m, int64_t apart, const BlockResults& to, const float* residual,
                      int64_t width, int64_t rows, int64_t columns);

/// One part of some windows, times weights, for one or two blocks of results.
struct WinogradProduct {
  const float* v = nullptr;  ///< [blocks][..., lanes] of the first window
  int64_t v_apart = 0;       ///< between blocks of channels
  int64_t blocks = 0;
  const float* u = nullptr;  ///< [blocks, lanes, 2, lanes]; with one block of results [.., 1, ..]
  float* m = nullptr;        ///< [results][windows, lanes]
  int64_t m_apart = 0;       ///< between blocks of results
  bool two = true;           ///< blocks of results, or one
};
/// Windows that a product has at most.
int64_t winograd_windows();
void winograd_product(const WinogradProduct& p, int64_t windows);

/// Of the gradient of a tile of results, whose first number is at (top, left), the parts that make
/// the gradient of weights with those of the window; zero outside the plane.
void winograd_gradient(const float* dy, BlockPlane plane, int64_t top, int64_t left, float* g,
                       int64_t apart);
/// From parts to the nine weights, `lanes` at a time: the tap i goes to w + i * lanes.
void winograd_weight_sums(const float* u, int64_t apart, float* w);

/// One part of the gradient of weights: sums over tiles, of a block of channels and one or two
/// blocks of results.
struct WinogradWeightProduct {
  const float* v = nullptr;  ///< [tiles, lanes], of windows
  const float* g = nullptr;  ///< [results][tiles, lanes]
  int64_t g_apart = 0;       ///< between blocks of results
  int64_t tiles = 0;
  float* sums = nullptr;  ///< [lanes of channels, 2, lanes]
  bool two = true;        ///< blocks of results, or one
  bool add = false;       ///< to what is there
};
void winograd_weight_product(const WinogradWeightProduct& p);

}  // namespace nacre::cpu
