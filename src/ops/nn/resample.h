// Resampling of one dimension by weights that depend on the position alone.
#pragma once

#include "ops/op.h"

namespace nacre {

/// How positions of the output map to the input.
enum class Grid { half_pixel, align_corners };

/// y[o] = x[at[o]] along a dimension.
Tensor resample_nearest(const Tensor& x, int64_t dim, int64_t size, bool exact);
/// Two neighbours, weighted by distance.
Tensor resample_linear(const Tensor& x, int64_t dim, int64_t size, Grid grid);
/// Four neighbours by the cubic convolution kernel with a = -0.75 (Keys 1981), edges repeated.
Tensor resample_cubic(const Tensor& x, int64_t dim, int64_t size, Grid grid);
/// Means of windows that cover the input evenly.
Tensor resample_area(const Tensor& x, int64_t dim, int64_t size);

}  // namespace nacre
