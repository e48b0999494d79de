// The three nodes of a convolution; each one's gradient is made of the other two.
#pragma once

#include "ops/nn/window.h"

namespace nacre {

struct ConvAttrs {
  Ints stride, dilation, pad_low, pad_high;  ///< one entry for each spatial dimension
  int64_t groups = 1;
  void fields(FieldVisitor& v) {
    v("stride", stride);
    v("dilation", dilation);
    v("pad_low", pad_low);
    v("pad_high", pad_high);
    v("groups", groups);
  }
};
struct ConvInputGradAttrs : ConvAttrs {
  Ints input_size;  ///< spatial size of the result
  void fields(FieldVisitor& v) {
    ConvAttrs::fields(v);
    v("input_size", input_size);
  }
};
struct ConvWeightGradAttrs : ConvAttrs {
  Ints kernel_size;  ///< spatial size of the result
  void fields(FieldVisitor& v) {
    ConvAttrs::fields(v);
    v("kernel_size", kernel_size);
  }
};

/// x NxCx*S, w Ox(C/groups)x*K -> NxOx*S'.
Tensor conv(const Tensor& x, const Tensor& w, const ConvAttrs& a);
/// dy NxOx*S', w -> dx NxCx*S.
Tensor conv_input_grad(const Tensor& dy, const Tensor& w, const ConvAttrs& a,
                       const Ints& input_size);
/// x, dy -> dw Ox(C/groups)x*K.
Tensor conv_weight_grad(const Tensor& x, const Tensor& dy, const ConvAttrs& a,
                        const Ints& kernel_size);

SlidingWindow window_of(const ConvAttrs& a, const Ints& kernel);

/// Checks a NxCx*S input against the batch, channels, groups and output size of an output of the
/// convolution with this kernel; returns the output's spatial size.
void check_conv_output(const Infer& in, const ConvAttrs& a, const Shape& input, const Shape& kernel,
                       const Shape& output);

/// Adds a bias of one value for each channel, if there is one; errors begin with [op].
Tensor add_channel_bias(const char* op, const Tensor& y, const Tensor& bias);

/// Calls f(x, w, y) with the flat positions of each product of the convolution.
template <typename F>
void for_products(const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a, F f) {
  const Shape in = spatial_of(x), out = spatial_of(y), kernel = spatial_of(w);
  const int64_t in_plane = in.numel(), out_plane = out.numel(), taps = kernel.numel();
  const int64_t channels = w[1], outs = y[1], per_group = outs / a.groups;
  for_taps(in, out, window_of(a, kernel), [&](int64_t o, int64_t t, int64_t i) {
    for (int64_t n = 0; n < x[0]; ++n)
      for (int64_t k = 0; k < outs; ++k)
        for (int64_t c = 0; c < channels; ++c)
          f((n * x[1] + k / per_group * channels + c) * in_plane + i, (k * channels + c) * taps + t,
            (n * outs + k) * out_plane + o);
  });
}

}  // namespace nacre
