#include "ops/nn/conv.h"

namespace nacre {

/// How a transposed convolution's window moves; stride, padding and dilation are those of the
/// convolution that it is the transpose of.
API(struct ConvTransposeOptions {
  Ints stride = {1};          ///< one entry, or one for each spatial dimension
  Ints padding = {0};         ///< cropped off: one entry, one for each, or all lows, then highs
  Ints output_padding = {0};  ///< added to one side of the output, less than the stride
  Ints dilation = {1};
  int64_t groups = 1;
};)

/// Transposed convolution (deconvolution) over one spatial dimension: the transpose of the matrix
/// of conv1d times x (Zeiler et al. 2010). x: NxCxL, weight: Cx(O/groups)xK, bias: O or undefined.
/// Returns NxOxL' with L' = (L - 1) * stride - low - high + dilation * (K - 1) + output_padding
/// + 1.
API(Tensor conv_transpose1d(In x, In weight, const Tensor& bias = {},
                            const ConvTransposeOptions& options = {}))
/// Transposed convolution over two spatial dimensions; as conv_transpose1d with x: NxCxHxW.
API(Tensor conv_transpose2d(In x, In weight, const Tensor& bias = {},
                            const ConvTransposeOptions& options = {}))
/// Transposed convolution over three spatial dimensions; as conv_transpose1d with x: NxCxDxHxW.
API(Tensor conv_transpose3d(In x, In weight, const Tensor& bias = {},
                            const ConvTransposeOptions& options = {}))

namespace {

Tensor transposed(const char* op, int64_t rank, const Tensor& input, const Tensor& kernel,
                  const Tensor& bias, const ConvTransposeOptions& o) {
  const auto [x, w] = unify_float(input, kernel);
  const Shape &xs = x.shape(), &ws = w.shape();
  const auto bad = [&](std::initializer_list<Piece> text) {
    fail(Error::Kind::shape,
         {"[", op, "] ", cat(text), " (input ", xs, ", weight ", ws, ")", where()});
  };
  if (xs.rank() != rank + 2) bad({"input has rank ", xs.rank(), ", ", rank + 2, " is needed"});
  if (ws.rank() != rank + 2) bad({"weight has rank ", ws.rank(), ", ", rank + 2, " is needed"});
  if (xs[1] != ws[0]) bad({"input has ", xs[1], " channels, weight expects ", ws[0]});
  if (o.groups < 1 || xs[1] % o.groups != 0)
    bad({xs[1], " input channels do not divide into ", o.groups, " groups"});
  const SlidingWindow r = resolve_window(op, spatial_of(xs), spatial_of(ws), o.stride, o.padding,
                                         o.dilation, false, false);
  const Ints extra = per_dimension(op, "output_padding", o.output_padding, rank);
  Ints size;
  for (int64_t d = 0; d < rank; ++d) {
    if (extra[d] < 0 || extra[d] >= r.stride[d])
      bad({"output_padding ", as_list(extra), " must be at least 0 and less than the stride ",
           as_list(r.stride)});
    if (xs[2 + d] < 1) bad({"input has an empty spatial dimension"});
    size.push_back((xs[2 + d] - 1) * r.stride[d] - r.pad_low[d] - r.pad_high[d] +
                   r.dilation[d] * (ws[2 + d] - 1) + extra[d] + 1);
    if (size[d] < 1) bad({"padding ", as_list(o.padding), " leaves an output of size ", size[d]});
  }
  return add_channel_bias(
      op, conv_input_grad(x, w, {r.stride, r.dilation, r.pad_low, r.pad_high, o.groups}, size),
      bias);
}

}  // namespace

Tensor conv_transpose1d(In x, In weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return transposed("conv_transpose1d", 1, x, weight, bias, options);
}
Tensor conv_transpose2d(In x, In weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return transposed("conv_transpose2d", 2, x, weight, bias, options);
}
Tensor conv_transpose3d(In x, In weight, const Tensor& bias, const ConvTransposeOptions& options) {
  return transposed("conv_transpose3d", 3, x, weight, bias, options);
}

}  // namespace nacre
