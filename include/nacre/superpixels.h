// Superpixels: a picture cut into small connected regions of similar pixels, and the windows about
// them that a network sees.
//
//   Superpixels s = slic(image, {.count = 400});
//   for (int32_t k = 0; k < s.count; ++k)
//     Image windows = local_windows(image, s.x[k], s.y[k], 16);     // for the model
//     multi_local_cnn
//
// All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "nacre/image.h"

namespace nacre {

struct SlicOptions {
  int64_t count = 200;      ///< of superpixels, about
  double compactness = 10;  ///< how much distance counts against colour: 1 to 40
  int64_t iterations = 10;
};

struct Superpixels {
  int width = 0, height = 0;
  int32_t count = 0;
  std::vector<int32_t> labels;  ///< of each pixel, row by row: 0 to count - 1
  std::vector<double> x, y;     ///< centre of each: the mean of its pixels' places
  int32_t at(int px, int py) const {
    return labels[static_cast<size_t>(py) * static_cast<size_t>(width) + static_cast<size_t>(px)];
  }
};

/// Simple linear iterative clustering (Achanta et al. 2012): k-means of colour and place, each
/// centre looking at twice its own size; then regions that hang together, small ones joined to the
/// neighbour that was found before them. Colours of RGB pictures are compared in CIELAB, channels
/// of others as they are, times 100. Throws Error(usage) for options out of range and Error(data)
/// for an empty picture.
Superpixels slic(const Image& image, const SlicOptions& options = {});

/// Five windows of side x side pixels about a place, one after the other as channels: the middle
/// one, and those half a side above, below, to the left and to the right (Zhao et al. 2017). Pixels
/// beyond the picture are those of its edge.
Image local_windows(const Image& image, double x, double y, int side);
inline constexpr int kLocalWindows = 5;

}  // namespace nacre
