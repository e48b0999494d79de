// Maxima of windows of f32 planes in vectors, for strides of 1 and 2.
#pragma once

#include <array>
#include <cstdint>

namespace nacre::cpu {

/// A pooling window over a plane of up to three dimensions; those that are not there come first and
/// have size 1.
struct PoolWindow {
  using Sizes = std::array<int64_t, 3>;
  Sizes in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1};
  Sizes stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
};

/// True if max_pool_plane takes the window.
bool has_max_pool_plane(const PoolWindow& w);

/// y: the largest value of each window; index, unless null: its position in the plane, -1 if the
/// window holds no input. NaN is larger than all; of equal values the first one counts.
void max_pool_plane(const PoolWindow& w, const float* x, float* y, int64_t* index);

}  // namespace nacre::cpu
