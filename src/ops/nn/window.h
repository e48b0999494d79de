// What convolutions and pools share: how a window moves over one to three spatial dimensions.
#pragma once

#include "ops/op.h"

namespace nacre {

/// Resolved window, one entry for each spatial dimension.
struct SlidingWindow {
  Ints kernel, stride, dilation, pad_low, pad_high;
};

/// The window a user asked for: lists of one entry are repeated; padding may have one entry, one
/// for each dimension, or all lows and then all highs; `same` keeps ceil(size / stride) outputs;
/// `ceil_mode` adds padding at the end for a last partial window, as PyTorch does. Errors begin
/// with [op].
SlidingWindow resolve_window(const char* op, const Shape& spatial, const Ints& kernel,
                             const Ints& stride, const Ints& padding, const Ints& dilation,
                             bool same, bool ceil_mode);

/// One entry for each of `rank` dimensions from a list of one or of `rank`.
Ints per_dimension(const char* op, const char* what, const Ints& list, int64_t rank);

/// Spatial size of the output of a window over `spatial`; fails through `in` where none fits.
Shape windowed_shape(const Infer& in, const Shape& spatial, const SlidingWindow& w);

/// Calls f(output, tap, input) with flat positions for each tap of each window that lies inside.
template <typename F>
void for_taps(const Shape& spatial, const Shape& out, const SlidingWindow& w, F f) {
  const int64_t taps = w.kernel.numel();
  for (int64_t o = 0; o < out.numel(); ++o)
    for (int64_t t = 0; t < taps; ++t) {
      int64_t position = 0, stride = 1, orest = o, trest = t;
      bool inside = true;
      for (int64_t d = out.rank() - 1; d >= 0; --d) {
        const int64_t at =
            orest % out[d] * w.stride[d] - w.pad_low[d] + trest % w.kernel[d] * w.dilation[d];
        inside = inside && at >= 0 && at < spatial[d];
        position += at * stride;
        stride *= spatial[d];
        orest /= out[d];
        trest /= w.kernel[d];
      }
      if (inside) f(o, t, position);
    }
}

/// The dimensions after the first two.
inline Shape spatial_of(const Shape& s) { return s.slice(2, s.rank()); }

/// Outer dimensions followed by spatial ones.
Shape with_spatial(int64_t n, int64_t c, const Shape& spatial);

}  // namespace nacre
