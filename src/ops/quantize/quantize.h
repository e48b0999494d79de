// What the ops share whose integers stand for numbers: value = (q - zero_point) * scale.
#pragma once

#include "nacre/quantize.h"
#include "ops/op.h"

namespace nacre {

struct QuantizeAttrs {
  int64_t axis = 0;  ///< that scales and zero points go along, if there are several
  void fields(FieldVisitor& v) { v("axis", axis); }
};

/// Checks scale (input 1) and zero point (input 2) against input 0.
inline void check_quantization(const Infer& in) {
  const Shape &x = in.shape(0), &scale = in.shape(1);
  const int64_t axis = in.attrs<QuantizeAttrs>().axis;
  in.check_float(1);
  in.check(in.shape(2) == scale, {"the zero point has shape ", in.shape(2), ", the scale ", scale});
  in.check(scale.rank() <= 1, {"the scale has rank ", scale.rank(), ", 0 and 1 are known"});
  if (scale.rank() == 0) return;
  in.check(axis >= 0 && axis < x.rank(), {"axis ", axis, " of an input of shape ", x});
  in.check(scale[0] == x[axis], {scale[0], " scales for ", x[axis], " entries of axis ", axis});
}

/// The number of the scale that element i has.
inline int64_t scale_of(const Shape& x, const RefTensor& scale, int64_t axis, int64_t i) {
  if (scale.shape.rank() == 0) return 0;
  const Around a = around(x, axis);
  return i / a.inner % a.size;
}

}  // namespace nacre
