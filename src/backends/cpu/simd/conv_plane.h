// The sizes of a convolution of planes.
#pragma once

#include <array>
#include <cstdint>

namespace nacre::cpu {

/// Rows, then columns. `pad` is the padding before the first input, not negative; what a window
/// reads outside of the input is zero.
struct ConvPlane {
  using Sizes = std::array<int64_t, 2>;
  Sizes in{1, 1}, out{1, 1}, kernel{1, 1}, stride{1, 1}, dilation{1, 1}, pad{0, 0};
  int64_t in_plane() const { return in[0] * in[1]; }
  int64_t out_plane() const { return out[0] * out[1]; }
  int64_t taps() const { return kernel[0] * kernel[1]; }
};

}  // namespace nacre::cpu
