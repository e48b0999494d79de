// Tensors whose channels are the last dimension, NxHxWxC: the layout in which convolutions of
// 16-bit floats are fastest. The precision pass (compile/passes/precision.cpp) makes these ops;
// nobody records them.
#pragma once

#include "ops/nn/conv.h"

namespace nacre {

/// A convolution with what follows it: act(conv(x, w) + bias + residual), limited to [low, high].
struct ConvRowsAttrs : ConvAttrs {
  bool bias = false, residual = false;  ///< these inputs follow x and w, in this order
  bool swish = false;                   ///< y * sigmoid(y) before the limits
  double low = -INFINITY, high = INFINITY;
  void fields(FieldVisitor& v) {
    ConvAttrs::fields(v);
    v("bias", bias);
    v("residual", residual);
    v("swish", swish);
    v("low", low);
    v("high", high);
  }
};

/// NxCxHxW as NxHxWxC, and back.
inline Tensor to_rows(const Tensor& x) { return permute(x, {0, 2, 3, 1}); }
inline Tensor to_planes(const Tensor& x) { return permute(x, {0, 3, 1, 2}); }
/// [N, H, W, C] as [N, C, H, W].
inline Shape without_rows(const Shape& s) { return {s[0], s[3], s[1], s[2]}; }

}  // namespace nacre
