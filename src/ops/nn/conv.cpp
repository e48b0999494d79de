#include "ops/nn/conv.h"

namespace nacre {

/// How a convolution's window moves.
API(struct ConvOptions {
  Ints stride = {1};    ///< one entry, or one for each spatial dimension
  Ints padding = {0};   ///< one entry, one for each dimension, or all lows, then all highs
  Ints dilation = {1};  ///< distance between the taps of the kernel
  int64_t groups = 1;   ///< channels are split into this many independent convolutions
  bool same = false;    ///< pad to ceil(size / stride) outputs, an odd rest at the end
};)

/// Convolution (cross-correlation) over one spatial dimension, zero padding.
/// x: NxCxL, weight: Ox(C/groups)xK, bias: O or undefined. Returns NxOxL' with
/// L' = (L + low + high - dilation * (K - 1) - 1) / stride + 1.
API(Tensor conv1d(In x, In weight, const Tensor& bias = {}, const ConvOptions& options = {}))
/// Convolution over two spatial dimensions; as conv1d with x: NxCxHxW, weight: Ox(C/groups)xKhxKw.
API(Tensor conv2d(In x, In weight, const Tensor& bias = {}, const ConvOptions& options = {}))
/// Convolution over three spatial dimensions; as conv1d with x: NxCxDxHxW.
API(Tensor conv3d(In x, In weight, const Tensor& bias = {}, const ConvOptions& options = {}))

SlidingWindow window_of(const ConvAttrs& a, const Ints& kernel) {
  return {kernel, a.stride, a.dilation, a.pad_low, a.pad_high};
}

OP(conv) = {
    .name = "conv",
    .attrs = attr_type<ConvAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
                   {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
          in.check_rank(1, in.rank(0));
          const Shape &x = in.shape(0), &w = in.shape(1);
          in.check(a.groups >= 1 && w[0] % a.groups == 0,
                   {w[0], " output channels do not divide into ", a.groups, " groups"});
          in.check(x[1] % a.groups == 0 && x[1] / a.groups == w[1],
                   {"input has ", x[1], " channels, weight expects ", w[1], " in each of ",
                    a.groups, " groups"});
          in.out(in.dtype(0),
                 with_spatial(x[0], w[0],
                              windowed_shape(in, spatial_of(x), window_of(a, spatial_of(w)))));
        },
    .ref =
        [](Ref& r) {
          const double *x = r.in(0).d, *w = r.in(1).d;
          double* y = r.out().d;
          for_products(r.in(0).shape, r.in(1).shape, r.out().shape, r.attrs<ConvAttrs>(),
                       [&](int64_t i, int64_t k, int64_t o) { y[o] += x[i] * w[k]; });
        },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<ConvAttrs>();
          if (v.wants(0)) v.dx(0) = conv_input_grad(v.dy(), v.x(1), a, spatial_of(v.x(0).shape()));
          if (v.wants(1)) v.dx(1) = conv_weight_grad(v.x(0), v.dy(), a, spatial_of(v.x(1).shape()));
        },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.outputs[0].shape.numel() * w.slice(1, w.rank()).numel();
        },
    .onnx = "Conv",
    .samples =
        [](Samples& s) {
          const auto two = [](ConvOptions o) {
            return [o](const Tensors& x) { return Tensors{conv2d(x[0], x[1], {}, o)}; };
          };
          s.add({s.uniform({2, 3, 5, 6}), s.uniform({4, 3, 3, 3})}, two({}), "F.conv2d({0}, {1})");
          s.add(
              {s.uniform({1, 2, 6, 5}), s.uniform({3, 2, 3, 2}), s.uniform({3})},
              [](const Tensors& x) {
                return Tensors{conv2d(x[0], x[1], x[2],
                                      {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}})};
              },
              "F.conv2d({0}, {1}, {2}, stride=(2, 1), padding=(1, 2), dilation=(1, 2))");
          s.add({s.uniform({2, 4, 4, 4}), s.uniform({6, 2, 3, 3})},
                two({.padding = {1}, .groups = 2}), "F.conv2d({0}, {1}, padding=1, groups=2)");
          s.add({s.uniform({2, 3, 4, 4}), s.uniform({3, 1, 3, 3})},
                two({.padding = {1}, .groups = 3}), "F.conv2d({0}, {1}, padding=1, groups=3)");
          s.add({s.uniform({2, 3, 4, 4}), s.uniform({5, 3, 1, 1})}, two({}), "F.conv2d({0}, {1})");
          s.add({s.uniform({1, 2, 4, 5}), s.uniform({2, 2, 3, 3})}, two({.padding = {0, 1, 2, 1}}),
                "F.conv2d(F.pad({0}, (1, 1, 0, 2)), {1})");
          s.add({s.uniform({1, 2, 5, 6}), s.uniform({2, 2, 4, 3})}, two({.same = true}),
                "F.conv2d({0}, {1}, padding='same')");
          s.add({s.uniform({1, 1, 7, 6}), s.uniform({1, 1, 3, 3})},
                two({.stride = {2}, .same = true}),
                "F.conv2d(F.pad({0}, (0, 1, 1, 1)), {1}, stride=2)");
          s.add({s.uniform({0, 3, 4, 4}), s.uniform({2, 3, 3, 3})}, two({}), "F.conv2d({0}, {1})");
          s.add(
              {s.uniform({2, 2, 7}), s.uniform({3, 2, 3}), s.uniform({3})},
              [](const Tensors& x) {
                return Tensors{conv1d(x[0], x[1], x[2], {.padding = {2}, .dilation = {2}})};
              },
              "F.conv1d({0}, {1}, {2}, padding=2, dilation=2)");
          s.add(
              {s.uniform({1, 2, 3, 4, 4}), s.uniform({2, 2, 2, 3, 2}), s.uniform({2})},
              [](const Tensors& x) {
                return Tensors{conv3d(x[0], x[1], x[2], {.stride = {1, 2, 1}, .padding = {1}})};
              },
              "F.conv3d({0}, {1}, {2}, stride=(1, 2, 1), padding=1)");
          s.bad({s.uniform({8, 3, 8, 8}), s.uniform({8, 4, 3, 3})}, two({}),
                "[conv2d] input has 3 channels, weight expects 4 (input 8x3x8x8, weight 8x4x3x3)");
          s.bad({s.uniform({3, 8, 8}), s.uniform({8, 3, 3, 3})}, two({}), "rank 3");
          s.bad({s.uniform({1, 3, 8, 8}), s.uniform({8, 3, 3})}, two({}), "rank 3");
          s.bad({s.uniform({1, 3, 8, 8}), s.uniform({4, 1, 3, 3})}, two({.groups = 3}),
                "4 output channels do not divide into 3 groups");
          s.bad({s.uniform({1, 3, 8, 8}), s.uniform({4, 3, 3, 3})}, two({.groups = 0}), "groups");
          s.bad({s.uniform({1, 1, 2, 8}), s.uniform({1, 1, 3, 3})}, two({}),
                "window of 3 is larger than the padded input of 2");
          s.bad({s.uniform({1, 1, 8, 8}), s.uniform({1, 1, 3, 3})}, two({.stride = {0}}), "stride");
          s.bad({s.uniform({1, 1, 8, 8}), s.uniform({1, 1, 3, 3})}, two({.padding = {-1}}),
                "padding");
          s.bad({s.uniform({1, 1, 8, 8}), s.uniform({1, 1, 3, 3})}, two({.dilation = {1, 2, 3}}),
                "dilation [1, 2, 3] has 3 entries");
          s.bad(
              {s.uniform({1, 1, 8, 8}), s.uniform({2, 1, 3, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{conv2d(x[0], x[1], x[2])}; },
              "bias has shape 3, 2 channels need 2");
        },
};

Tensor conv(const Tensor& x, const Tensor& w, const ConvAttrs& a) {
  return make(op_conv, a, {x, w});
}

Tensor add_channel_bias(const char* op, const Tensor& y, const Tensor& bias) {
  if (!bias.defined()) return y;
  const int64_t channels = y.size(1);
  if (bias.shape() != Shape{channels})
    fail(Error::Kind::shape, {"[", op, "] bias has shape ", bias.shape(), ", ", channels,
                              " channels need ", channels, where()});
  Shape s(static_cast<size_t>(y.rank()), 1);
  s[1] = channels;
  return y + reshape(cast(bias, y.dtype()), s);
}

namespace {

Tensor convolve(const char* op, int64_t rank, const Tensor& input, const Tensor& kernel,
                const Tensor& bias, const ConvOptions& o) {
  const auto [x, w] = unify_float(input, kernel);
  const Shape &xs = x.shape(), &ws = w.shape();
  const auto bad = [&](std::initializer_list<Piece> text) {
    fail(Error::Kind::shape,
         {"[", op, "] ", cat(text), " (input ", xs, ", weight ", ws, ")", where()});
  };
  if (xs.rank() != rank + 2) bad({"input has rank ", xs.rank(), ", ", rank + 2, " is needed"});
  if (ws.rank() != rank + 2) bad({"weight has rank ", ws.rank(), ", ", rank + 2, " is needed"});
  if (o.groups < 1) bad({"groups is ", o.groups, ", at least 1 is needed"});
  if (ws[0] % o.groups != 0)
    bad({ws[0], " output channels do not divide into ", o.groups, " groups"});
  if (xs[1] % o.groups != 0 || xs[1] / o.groups != ws[1])
    bad({"input has ", xs[1], " channels, weight expects ", ws[1] * o.groups});
  for (int64_t k : spatial_of(ws))
    if (k < 1) bad({"weight has an empty kernel"});
  const SlidingWindow r = resolve_window(op, spatial_of(xs), spatial_of(ws), o.stride, o.padding,
                                         o.dilation, o.same, false);
  return add_channel_bias(op, conv(x, w, {r.stride, r.dilation, r.pad_low, r.pad_high, o.groups}),
                          bias);
}

}  // namespace

Tensor conv1d(In x, In weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv1d", 1, x, weight, bias, options);
}
Tensor conv2d(In x, In weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv2d", 2, x, weight, bias, options);
}
Tensor conv3d(In x, In weight, const Tensor& bias, const ConvOptions& options) {
  return convolve("conv3d", 3, x, weight, bias, options);
}

}  // namespace nacre
