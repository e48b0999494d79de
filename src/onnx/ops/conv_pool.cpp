// Convolutions and pooling.
#include "onnx/window.h"

#include <numeric>

namespace nacre::onnx {

Window window_of(const Call& c, const Shape& in, const Ints& kernel) {
  Window w;
  const int64_t n = kernel.rank();
  c.check(in.rank() == n + 2 && n >= 1 && n <= 3,
          {"a window of ", n, " dimensions on an input of shape ", in});
  w.kernel = kernel;
  w.stride = c.is("strides", Ints(kernel.size(), 1));
  w.dilation = c.is("dilations", Ints(kernel.size(), 1));
  w.low = w.high = Ints(kernel.size(), 0);
  const Ints pads = c.is("pads");
  c.check(w.stride.rank() == n && w.dilation.rank() == n && (pads.empty() || pads.rank() == 2 * n),
          {"strides, dilations or pads do not fit a kernel of ", as_list(kernel)});
  const std::string mode = c.s("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  c.check(same || mode == "NOTSET" || mode == "VALID" || mode.empty(),
          {"auto_pad '", mode, "' is not known"});
  for (int64_t d = 0; d < n; ++d) {
    c.check(w.stride[d] > 0 && w.dilation[d] > 0 && kernel[d] > 0 && w.stride[d] < 1 << 30 &&
                w.dilation[d] < 1 << 30 && kernel[d] < 1 << 30,
            {"strides ", as_list(w.stride), ", dilations ", as_list(w.dilation), " or kernel ",
             as_list(kernel), " are not usable"});
    if (same) {
      const int64_t size = in[2 + d], out = (size + w.stride[d] - 1) / w.stride[d];
      const int64_t span = w.dilation[d] * (kernel[d] - 1) + 1;
      const int64_t total = std::max<int64_t>(0, (out - 1) * w.stride[d] + span - size);
      const int64_t half = total / 2;
      w.low[d] = mode == "SAME_UPPER" ? half : total - half;
      w.high[d] = total - w.low[d];
    } else if (mode != "VALID" && !pads.empty()) {
      w.low[d] = pads[d];
      w.high[d] = pads[n + d];
    }
  }
  return w;
}

Ints Window::padding() const {
  Ints all = low;
  for (int64_t p : high) all.push_back(p);
  return all;
}

Tensor convolve(const Call& c, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Ints of_weight = w.shape().slice(std::min<int64_t>(2, w.rank()), w.rank());
  const Ints kernel = c.is("kernel_shape", of_weight);
  c.check(kernel == of_weight,
          {"kernel_shape ", as_list(kernel), " is not that of the weight, ", as_list(of_weight)});
  const Window o = window_of(c, x.shape(), kernel);
  const ConvOptions options{o.stride, o.padding(), o.dilation, c.i("group", 1)};
  switch (kernel.rank()) {
    case 1:
      return conv1d(x, w, bias, options);
    case 2:
      return conv2d(x, w, bias, options);
    default:
      return conv3d(x, w, bias, options);
  }
}

Tensor along_channels(const Tensor& v, int64_t rank) {
  Shape shape = {1, v.numel()};
  while (shape.rank() < rank) shape.push_back(1);
  return reshape(v, shape);
}

Tensor numpy_matmul(const Call& c, const Tensor& a, const Tensor& b) {
  c.check(a.rank() && b.rank(), {"takes no scalars"});
  Tensor y = matmul(a.rank() == 1 ? unsqueeze(a, 0) : a, b.rank() == 1 ? unsqueeze(b, 1) : b);
  if (b.rank() == 1) y = squeeze(y, {y.rank() - 1});
  if (a.rank() == 1) y = squeeze(y, {b.rank() == 1 ? y.rank() - 1 : y.rank() - 2});
  return y;
}

namespace {

PoolOptions options_of(const Call& c, const Window& w) {
  return {w.stride, w.padding(), w.dilation, c.i("ceil_mode") != 0, c.i("count_include_pad") != 0};
}

}  // namespace

Tensor pooled_average(const Call& c, const Tensor& x) {
  const Ints kernel = c.is("kernel_shape");
  const PoolOptions o = options_of(c, window_of(c, x.shape(), kernel));
  const int64_t n = kernel.rank();
  return n == 1   ? avg_pool1d(x, kernel, o)
         : n == 2 ? avg_pool2d(x, kernel, o)
                  : avg_pool3d(x, kernel, o);
}

namespace {

Values conv_transpose(Call& c) {
  const Tensor &x = c[0], &w = c[1];
  const int64_t n = x.rank() - 2;
  c.check(n >= 1 && n <= 3 && w.rank() == x.rank(),
          {"input ", x.shape(), " and weight ", w.shape()});
  const Shape kernel = w.shape().slice(2, w.rank());
  c.check(c.is("kernel_shape", kernel) == kernel,
          {"kernel_shape is not that of the weight, ", as_list(kernel)});
  const Ints ones(kernel.size(), 1), zeros_(kernel.size(), 0);
  const Ints stride = c.is("strides", ones), dilation = c.is("dilations", ones);
  const Ints extra = c.is("output_padding", zeros_), wanted = c.is("output_shape");
  const Ints pads = c.is("pads", Ints(2 * kernel.size(), 0));
  const std::string mode = c.s("auto_pad", "NOTSET");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  c.check(stride.rank() == n && dilation.rank() == n && extra.rank() == n && pads.rank() == 2 * n &&
              (wanted.empty() || wanted.rank() == n || wanted.rank() == n + 2),
          {"attributes do not fit a kernel of ", as_list(kernel)});
  // The whole result, then cut (or filled with zeros) to what is asked for.
  Ints low = {0, 0}, high = {0, 0};
  for (int64_t d = 0; d < n; ++d) {
    const int64_t size = x.size(2 + d), span = dilation[d] * (kernel[d] - 1) + 1;
    c.check(stride[d] > 0 && dilation[d] > 0 && stride[d] < 1 << 30 && dilation[d] < 1 << 30,
            {"strides or dilations are not positive"});
    const int64_t whole = stride[d] * (size - 1) + span;
    int64_t cut_low = pads[d], out = whole + extra[d] - pads[d] - pads[n + d];
    if (!wanted.empty() || same) {
      out = wanted.empty() ? size * stride[d] : wanted[wanted.rank() - n + d];
      const int64_t total = std::max<int64_t>(0, whole + extra[d] - out);
      cut_low = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
    c.check(out >= 0 && out < int64_t{1} << 40, {"gives an output of size ", out});
    low.push_back(-cut_low);
    high.push_back(out - whole + cut_low);
  }
  const ConvTransposeOptions o{.stride = stride, .dilation = dilation, .groups = c.i("group", 1)};
  Tensor y = n == 1   ? conv_transpose1d(x, w, {}, o)
             : n == 2 ? conv_transpose2d(x, w, {}, o)
                      : conv_transpose3d(x, w, {}, o);
  y = pad(y, low, high);
  return {c.has(2) ? y + along_channels(c[2], y.rank()) : y};
}

/// Integers are pooled as floats, exactly for those of 8 bits.
Tensor pooled_float(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::f64); }

Values max_pool(Call& c) {
  const Ints kernel = c.is("kernel_shape");
  const Window w = window_of(c, c.shape(0), kernel);
  const Tensor x = pooled_float(c[0]);
  const PoolOptions o = options_of(c, w);
  const int64_t n = kernel.rank();
  const Tensors y = n == 1   ? max_pool1d(x, kernel, o)
                    : n == 2 ? max_pool2d(x, kernel, o)
                             : max_pool3d(x, kernel, o);
  Values out = {like(c.in[0], y[0])};
  if (!c.wants(1)) return out;
  // Positions count through the whole input, in ONNX.
  const Shape& s = x.shape();
  const Shape spatial = s.slice(2, s.rank());
  Tensor at = y[1];
  if (c.i("storage_order")) {  // the first spatial dimension varies fastest
    Tensor rest = at, column = zeros(at.shape(), DType::i64);
    for (int64_t d = n; d-- > 0;) {
      column = column + remainder(rest, spatial[d]) * spatial.slice(0, d).numel();
      rest = floor_div(rest, spatial[d]);
    }
    at = column;
  }
  Shape planes = {s[0], s[1]};
  for (int64_t d = 0; d < n; ++d) planes.push_back(1);
  out.push_back(at + reshape(arange(s[0] * s[1]) * spatial.numel(), planes));
  return out;
}

Values max_unpool(Call& c) {
  const Shape& s = c.shape(0);
  const Ints kernel = c.is("kernel_shape"), none(kernel.size(), 1);
  const Ints stride = c.is("strides", none), pads = c.is("pads", Ints(2 * kernel.size(), 0));
  const int64_t n = kernel.rank();
  c.check(s.rank() == n + 2 && stride.rank() == n && pads.rank() == 2 * n,
          {"kernel ", as_list(kernel), " does not fit input ", s});
  Shape size;
  for (int64_t d = 0; d < n; ++d)
    size.push_back((s[2 + d] - 1) * stride[d] - pads[d] - pads[n + d] + kernel[d]);
  Shape planes = {s[0], s[1]};
  for (int64_t d = 0; d < n; ++d) planes.push_back(1);
  const Tensor at = c[1] - reshape(arange(s[0] * s[1]) * size.numel(), planes);
  const Tensor y = nacre::max_unpool(c[0], at, size);
  if (!c.has(2)) return {y};
  const Ints wanted = c.ints(2);
  c.check(wanted.rank() == n + 2, {"output_shape ", as_list(wanted), " has a wrong length"});
  Ints high;
  for (int64_t d = 0; d < n + 2; ++d) high.push_back(wanted[d] - y.size(d));
  return {pad(y, Ints(high.size(), 0), high)};
}

template <Tensor (*F)(In, const Ints&, bool)>
Values global_pool(Call& c) {
  Ints dims;
  for (int64_t d = 2; d < c.rank(0); ++d) dims.push_back(d);
  return {dims.empty() ? c[0] : F(c[0], dims, true)};
}

Values gemm(Call& c) {
  Tensor a = c[0], b = c[1];
  c.check(a.rank() == 2 && b.rank() == 2, {"takes matrices, not ", a.shape(), " and ", b.shape()});
  if (c.i("transA")) a = transpose(a);
  if (c.i("transB")) b = transpose(b);
  const double alpha = c.f("alpha", 1), beta = c.f("beta", 1);
  Tensor y = matmul(a, b);
  if (alpha != 1) y = y * alpha;
  if (!c.has(2)) return {like(c.in[0], y)};
  return {like(c.in[0], y + (beta == 1 ? c[2] : c[2] * beta))};
}

}  // namespace

ONNX(Conv) = {"Conv", [](Call& c) -> Values { return {convolve(c, c[0], c[1], c.optional(2))}; }};
ONNX(ConvTranspose) = {"ConvTranspose", conv_transpose};
ONNX(MaxPool) = {"MaxPool", max_pool};
ONNX(AveragePool) = {"AveragePool", [](Call& c) -> Values { return {pooled_average(c, c[0])}; }};
ONNX(LpPool) = {
    "LpPool", [](Call& c) -> Values {
      const Ints kernel = c.is("kernel_shape");
      const PoolOptions o = options_of(c, window_of(c, c.shape(0), kernel));
      const AttributeProto* p = c.find("p");
      return {lp_pool(c[0], !p ? 2.0 : p->type == 1 ? p->f : static_cast<double>(p->i), kernel, o)};
    }};
ONNX(MaxUnpool) = {"MaxUnpool", max_unpool};
ONNX(GlobalAveragePool) = {"GlobalAveragePool", global_pool<mean>};
ONNX(GlobalMaxPool) = {"GlobalMaxPool", global_pool<amax>};
ONNX(GlobalLpPool) = {
    "GlobalLpPool", [](Call& c) -> Values {
      Ints dims;
      for (int64_t d = 2; d < c.rank(0); ++d) dims.push_back(d);
      const AttributeProto* p = c.find("p");
      return {norm(c[0], !p ? 2.0 : p->type == 1 ? p->f : static_cast<double>(p->i), dims, true)};
    }};
ONNX(MatMul) = {"MatMul",
                [](Call& c) -> Values { return {like(c.in[0], numpy_matmul(c, c[0], c[1]))}; }};
ONNX(Gemm) = {"Gemm", gemm};
ONNX(Einsum) = {"Einsum", [](Call& c) -> Values {
                  Tensors in;
                  for (size_t i = 0; i < c.in.size(); ++i) in.push_back(c[i]);
                  return {like(c.in[0], einsum(c.s("equation"), in))};
                }};
ONNX(Det) = {"Det", [](Call& c) -> Values { return {det(c[0])}; }};

}  // namespace nacre::onnx
