// Convolutions of few channels, f32, with an image in each lane: numbers of `lanes` images lie
// beside each other, so that no product is made of padding and none is lost to channels or rows
// that do not fill a vector.
#pragma once

#include <cstddef>

#include "backends/cpu/simd/conv_plane.h"

namespace nacre::cpu {

/// One group of channels of as many images as a vector has lanes. Pixels of x and dx are those of
/// the frame [ins, frame rows, frame columns, lanes], the part of the padded input that is read.
/// Pixels of y and dy are [outs, *out, lanes].
struct BatchConv {
  ConvPlane plane;
  int64_t ins = 1, outs = 1;
  int64_t frame(std::size_t d) const {
    return (plane.out[d] - 1) * plane.stride[d] + (plane.kernel[d] - 1) * plane.dilation[d] + 1;
  }
  int64_t frame_plane() const { return frame(0) * frame(1); }
  int64_t weights() const { return outs * ins * plane.taps(); }
};

/// The lanes of a vector: 16, 8, 4, or 1 where there are no vectors.
int64_t batch_lanes();

/// x, w [outs, ins, *kernel] -> y.
void batch_forward(const BatchConv& c, const float* x, const float* w, float* y);
/// dy, w -> dx.
void batch_input_grad(const BatchConv& c, const float* dy, const float* w, float* dx);
/// Adds to sums [outs, ins, *kernel, lanes], of which the lanes are still to be added up.
void batch_weight_grad(const BatchConv& c, const float* x, const float* dy, float* sums);
/// to[i] = the sum of the lanes of sums[i], for i < n.
void add_lanes(const float* sums, int64_t n, float* to);

}  // namespace nacre::cpu
