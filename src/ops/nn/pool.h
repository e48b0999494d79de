// What the pooling ops share.
#pragma once

#include "ops/nn/window.h"

namespace nacre {

struct MaxPoolAttrs {
  Ints kernel, stride, dilation, pad_low, pad_high;  ///< one entry for each spatial dimension
  void fields(FieldVisitor& v) {
    v("kernel", kernel);
    v("stride", stride);
    v("dilation", dilation);
    v("pad_low", pad_low);
    v("pad_high", pad_high);
  }
};
struct AvgPoolAttrs : MaxPoolAttrs {
  bool include_pad = true;
  void fields(FieldVisitor& v) {
    MaxPoolAttrs::fields(v);
    v("include_pad", include_pad);
  }
};
struct AvgPoolGradAttrs : AvgPoolAttrs {
  Ints input_size;  ///< spatial size of the result
  void fields(FieldVisitor& v) {
    AvgPoolAttrs::fields(v);
    v("input_size", input_size);
  }
};

inline SlidingWindow window_of(const MaxPoolAttrs& a) {
  return {a.kernel, a.stride, a.dilation, a.pad_low, a.pad_high};
}

/// Shape of the results of a pool over input 0. Checks the input's type and rank.
inline Shape pooled_shape(Infer& in, const MaxPoolAttrs& a) {
  in.check_float(0);
  in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
           {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
  const Shape& x = in.shape(0);
  return with_spatial(x[0], x[1], windowed_shape(in, spatial_of(x), window_of(a)));
}

/// True if some window may hold no element of the input; x NxCx*S, y NxCx*S'.
bool may_miss(const Shape& x, const Shape& y, const MaxPoolAttrs& a);

/// Pooling nodes with resolved attributes.
Tensors max_pool(const Tensor& x, const MaxPoolAttrs& a);
Tensor avg_pool(const Tensor& x, const AvgPoolAttrs& a);
Tensor avg_pool_grad(const Tensor& dy, const AvgPoolAttrs& a, const Ints& input_size);

/// Checks that x has `rank` spatial dimensions; errors begin with [op].
void check_pool_input(const char* op, const Tensor& x, int64_t rank);

}  // namespace nacre
