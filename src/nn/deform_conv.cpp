#include "nacre/blocks.h"

namespace nacre {
namespace {

/// The pixels at whole positions y, x (N x P, any number; zero beyond the picture), as N x C x P.
Tensor pixels(const Tensor& picture, const Tensor& y, const Tensor& x) {
  const int64_t n = picture.size(0), c = picture.size(1), h = picture.size(2), w = picture.size(3);
  const auto edge = [](int64_t size) { return static_cast<double>(size - 1); };
  const Tensor inside =
      logical_and(logical_and(y >= 0, y <= edge(h)), logical_and(x >= 0, x <= edge(w)));
  const Tensor at =
      cast(clip(y, 0, edge(h)) * static_cast<double>(w) + clip(x, 0, edge(w)), DType::i64);
  const Tensor index = expand(unsqueeze(at, 1), {n, c, at.size(1)});
  const Tensor found = gather(reshape(picture, {n, c, h * w}), 2, index);
  return found * unsqueeze(cast(inside, picture.dtype()), 1);
}

}  // namespace

Tensor deform_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                     const Tensor& offset, const Tensor& mask, int64_t stride, int64_t padding,
                     int64_t dilation) {
  const auto bad = [&](std::initializer_list<Piece> why) {
    fail(Error::Kind::shape, {"[deform_conv2d] ", cat(why), " (input ", x.shape(), ", weight ",
                              weight.shape(), ", offset ", offset.shape(), ")"});
  };
  if (x.rank() != 4 || weight.rank() != 4 || offset.rank() != 4)
    bad({"input, weight and offset should have four dimensions"});
  if (stride < 1 || dilation < 1 || padding < 0) bad({"stride and dilation should be positive"});
  const int64_t n = x.size(0), c = x.size(1), o = weight.size(0);
  const int64_t kh = weight.size(2), kw = weight.size(3), taps = kh * kw;
  const int64_t oh = (x.size(2) + 2 * padding - dilation * (kh - 1) - 1) / stride + 1;
  const int64_t ow = (x.size(3) + 2 * padding - dilation * (kw - 1) - 1) / stride + 1;
  if (weight.size(1) != c) bad({"input has ", c, " channels, weight expects ", weight.size(1)});
  if (offset.shape() != Shape{n, 2 * taps, oh, ow})
    bad({"offset should be ", Shape{n, 2 * taps, oh, ow}});
  if (mask.defined() && mask.shape() != Shape{n, taps, oh, ow})
    bad({"mask should be ", Shape{n, taps, oh, ow}, ", got ", mask.shape()});

  // Positions of the taps of a plain convolution, taps x OH x OW.
  std::vector<double> rows, columns;
  for (int64_t t = 0; t < taps; ++t)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j) {
        rows.push_back(static_cast<double>(i * stride - padding + t / kw * dilation));
        columns.push_back(static_cast<double>(j * stride - padding + t % kw * dilation));
      }
  const int64_t places = taps * oh * ow;
  const Tensor pairs = reshape(offset, {n, taps, 2, oh * ow});
  const auto position = [&](const std::vector<double>& plain, int64_t k) {
    const Tensor moved = reshape(select(pairs, 2, k), {n, places});
    return moved + cast(Tensor::from(plain, {1, places}), x.dtype());
  };
  const Tensor y = position(rows, 0), z = position(columns, 1);
  const Tensor top = floor(y), left = floor(z);
  const Tensor down = unsqueeze(y - top, 1), right = unsqueeze(z - left, 1);
  Tensor sampled =
      (1 - down) * ((1 - right) * pixels(x, top, left) + right * pixels(x, top, left + 1)) +
      down * ((1 - right) * pixels(x, top + 1, left) + right * pixels(x, top + 1, left + 1));
  if (mask.defined()) sampled = sampled * reshape(mask, {n, 1, places});
  const Tensor filled =
      matmul(reshape(weight, {o, c * taps}), reshape(sampled, {n, c * taps, oh * ow}));
  const Tensor result = reshape(filled, {n, o, oh, ow});
  return bias.defined() ? result + reshape(bias, {o, 1, 1}) : result;
}

DeformConv2d::DeformConv2d(const Scope& s, const Config& c)
    : Module(s),
      weight(s.parameter("weight", {c.out, c.in, c.kernel, c.kernel},
                         init::he_normal(1.4142135623730951, true))),
      config_(c),
      offset_(s / "offset", {c.in, (c.modulated ? 3 : 2) * c.kernel * c.kernel, c.kernel, c.stride,
                             c.padding, c.dilation, 1, false, init::zeros()}),
      offset_bias_(
          (s / "offset")
              .parameter("bias", {(c.modulated ? 3 : 2) * c.kernel * c.kernel}, init::zeros())) {
  if (c.bias) bias = s.parameter("bias", {c.out}, init::zeros());
}

Tensor DeformConv2d::forward(const Tensor& x, Context& ctx) {
  const int64_t taps = config_.kernel * config_.kernel;
  const Tensor all = offset_(x, ctx) + reshape(offset_bias_.value(), {-1, 1, 1});
  const Tensor mask = config_.modulated ? sigmoid(slice(all, 1, 2 * taps)) : Tensor();
  return deform_conv2d(x, weight.value(), bias.value(), slice(all, 1, 0, 2 * taps), mask,
                       config_.stride, config_.padding, config_.dilation);
}

}  // namespace nacre
