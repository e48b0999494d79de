// A convolution of integers with what follows it. The pass "integers" makes it; nobody records it.
#pragma once

#include "ops/nn/rows.h"

namespace nacre {

/// With sums of integers, y is for channel o
///   y = scale[o] * (sum of (x - x_zero) w + bias[o])
///   y = sum_scale * y * sigmoid(y)                                       with `swish`
///   y = sum_scale * y + residual_scale * (residual - residual_zero)      with `residual`
/// where, in the last line, y on its right is rounded and kept in [sum_low, sum_high] first if
/// `rounded`. Not both `swish` and `residual`. The result is y limited to [low, high], as f32, or
/// round(y) + y_zero kept within 8 bits. Halves are rounded to even.
struct ConvInt8Attrs : ConvAttrs {
  DType dtype = DType::f32;             ///< of the result: f32, u8 or i8
  int64_t x_zero = 0, y_zero = 0;       ///< padding has the value x_zero
  bool bias = false, residual = false;  ///< these inputs follow x, w and scale, in this order
  bool swish = false, rounded = false;
  double sum_low = 0, sum_high = 0, sum_scale = 1;
  double residual_scale = 1;
  int64_t residual_zero = 0;
  double low = -INFINITY, high = INFINITY;
  void fields(FieldVisitor& v) {
    ConvAttrs::fields(v);
    v("dtype", dtype);
    v("x_zero", x_zero);
    v("y_zero", y_zero);
    v("bias", bias);
    v("residual", residual);
    v("swish", swish);
    v("rounded", rounded);
    v("sum_low", sum_low);
    v("sum_high", sum_high);
    v("sum_scale", sum_scale);
    v("residual_scale", residual_scale);
    v("residual_zero", residual_zero);
    v("low", low);
    v("high", high);
  }
};

}  // namespace nacre
