// Convolutions as matrix products over unfolded columns, for every type and shape that the library
// has no fast kernel for.
#pragma once

#include <array>
#include <cstdint>

#include "backends/cpu/make.h"
#include "backends/cpu/simd/conv_plane.h"

namespace nacre::cpu {

/// A convolution with its spatial dimensions filled up to three by leading ones.
struct ConvGeometry {
  int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};

  ConvGeometry(const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a);
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  /// True if there are at most two spatial dimensions.
  bool flat() const { return in[0] == 1 && kernel[0] == 1 && out[0] == 1 && pad[0] == 0; }
  ConvPlane plane() const;
};

enum class ConvPass { forward, input_grad, weight_grad };

/// Null for types other than f32, f64, i32 and i64.
std::unique_ptr<Kernel> make_im2col(DType t, ConvPass pass, const ConvGeometry& g);

}  // namespace nacre::cpu
