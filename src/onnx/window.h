// What operators with moving windows share.
#pragma once

#include "onnx/call.h"

namespace nacre::onnx {

/// A window with auto_pad resolved; one entry for each spatial dimension.
struct Window {
  Ints kernel, stride, dilation, low, high;
  Ints padding() const;  ///< all lows, then all highs
};
Window window_of(const Call& c, const Shape& input, const Ints& kernel);

/// Conv with the attributes of the call.
Tensor convolve(const Call& c, const Tensor& x, const Tensor& w, const Tensor& bias);

/// AveragePool with the attributes of the call.
Tensor pooled_average(const Call& c, const Tensor& x);

/// The product of NumPy's matmul, vectors included.
Tensor numpy_matmul(const Call& c, const Tensor& a, const Tensor& b);

/// A vector of one number for each channel, as 1xCx1x... of that rank.
Tensor along_channels(const Tensor& v, int64_t rank);

}  // namespace nacre::onnx
