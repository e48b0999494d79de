// Convolutions of single f32 planes by single kernels, of any stride and dilation, in rows: input
// rows are copied between zeros, those of stride s as s rows of every s-th column, so that a tap of
// neighbouring outputs reads neighbouring numbers. Rows of outputs and of their gradients are read
// and written where they lie.
#pragma once

#include "backends/cpu/simd/conv_plane.h"

namespace nacre::cpu {

/// The most taps of a kernel, and its largest stride, along rows and along columns.
constexpr int64_t kDepthwiseTaps = 32, kDepthwiseStride = 4;

/// Floats of scratch that each of the functions below needs, of each caller at a time.
int64_t depthwise_floats(const ConvPlane& s);

/// Planes [first, last) of y [planes, *out] from x [planes, *in]; plane p has the kernel
/// p % channels of w [channels, *kernel].
void depthwise_forward(const ConvPlane& s, const float* x, const float* w, int64_t channels,
                       int64_t first, int64_t last, float* y, float* scratch);
/// The same planes of dx [planes, *in] from dy [planes, *out].
void depthwise_input_grad(const ConvPlane& s, const float* dy, const float* w, int64_t channels,
                          int64_t first, int64_t last, float* dx, float* scratch);
/// Kernels [first, last) of dw [channels, *kernel] from x [images, channels, *in] and dy [images,
/// channels, *out].
void depthwise_weight_grad(const ConvPlane& s, const float* x, const float* dy, int64_t images,
                           int64_t channels, int64_t first, int64_t last, float* dw,
                           float* scratch);

}  // namespace nacre::cpu
