#include "ops/quantize/conv_int8.h"

#include "ops/op.h"

namespace nacre {
namespace {

bool is_byte(DType t) { return t == DType::u8 || t == DType::i8; }
int64_t least(DType t) { return t == DType::u8 ? 0 : -128; }

/// True for a zero point that these integers can have; numbers have none.
bool is_zero_point(int64_t zero, DType t) {
  return is_byte(t) ? zero >= least(t) && zero <= least(t) + 255 : zero == 0;
}

void infer_conv_int8(Infer& in) {
  const auto& a = in.attrs<ConvInt8Attrs>();
  const size_t inputs = size_t{3} + a.bias + a.residual;
  in.check(in.inputs() == inputs, {"has ", in.inputs(), " inputs, its attributes say ", inputs});
  in.check_rank(0, 4);
  in.check_rank(1, 4);
  in.check(is_byte(in.dtype(0)) && in.dtype(1) == DType::i8 && in.dtype(2) == DType::f32,
           {"takes u8 or i8, weights of i8 and scales of f32"});
  in.check(is_byte(a.dtype) || a.dtype == DType::f32, {"gives u8, i8 or f32, not ", a.dtype});
  const Shape &x = in.shape(0), &w = in.shape(1);
  in.check(a.groups >= 1 && w[0] % a.groups == 0 && x[3] % a.groups == 0 && x[3] / a.groups == w[1],
           {"input has ", x[3], " channels, weight expects ", w[1], " in each of ", a.groups,
            " groups"});
  in.check(in.shape(2) == Shape{w[0]}, {"the scale needs shape ", w[0]});
  in.check(!a.bias || (in.dtype(3) == DType::f32 && in.shape(3) == Shape{w[0]}),
           {"the bias needs type f32 and shape ", w[0]});
  const Shape size = windowed_shape(in, x.slice(1, 3), window_of(a, w.slice(2, 4)));
  const Shape y = {x[0], size[0], size[1], w[0]};
  in.check(!a.residual || (is_byte(in.dtype(inputs - 1)) && in.shape(inputs - 1) == y),
           {"the residual needs integers of 8 bits and shape ", y});
  in.check(is_zero_point(a.x_zero, in.dtype(0)) && is_zero_point(a.y_zero, a.dtype) &&
               (!a.residual || is_zero_point(a.residual_zero, in.dtype(inputs - 1))),
           {"a zero point is outside its type"});
  in.check(!a.swish || !a.residual, {"has swish and a residual; one of them is known"});
  in.check(a.low <= a.high && a.sum_low <= a.sum_high, {"low is above high"});
  in.out(a.dtype, y);
}

/// What becomes of a sum of products of channel o, of element k of the result.
double rescaled(const Ref& r, const ConvInt8Attrs& a, int64_t sum, int64_t o, int64_t k) {
  double y = r.in(2).d[o] * (static_cast<double>(sum) + (a.bias ? r.in(3).d[o] : 0));
  if (a.swish) y *= a.sum_scale / (1 + std::exp(-y));
  if (a.residual) {
    if (a.rounded) y = std::clamp(std::nearbyint(y), a.sum_low, a.sum_high);
    const int64_t other = r.in(r.inputs() - 1).i[k] - a.residual_zero;
    y = a.sum_scale * y + a.residual_scale * static_cast<double>(other);
  }
  return std::clamp(y, a.low, a.high);
}

/// With scales in millionths and the bias as whole numbers of i32, for samples.
Tensor conv_int8(const Tensors& in, const ConvInt8Attrs& a) {
  Tensors inputs = in;
  inputs[2] = cast(inputs[2], DType::f32) * 1e-6;
  if (a.bias && inputs.size() > 3) inputs[3] = cast(inputs[3], DType::f32);
  return make(*find_op("conv_int8"), box(a), inputs);
}

}  // namespace

/// Two-dimensional convolution of integers whose channels come last, with bias, an addition and
/// limits. x: NxHxWxC of u8 or i8; weight: Ox(C/groups)xKhxKw of i8; scale: O of f32; bias: O of
/// f32, in units of the products; residual: of the result's shape, u8 or i8. See ConvInt8Attrs.
/// Made by the pass "integers".
OP(conv_int8) = {
    .name = "conv_int8",
    .attrs = attr_type<ConvInt8Attrs>(),
    .infer = infer_conv_int8,
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<ConvInt8Attrs>();
          const Shape &x = r.in(0).shape, &w = r.in(1).shape, &y = r.out().shape;
          const int64_t per_group = w[0] / a.groups;
          const auto zero = static_cast<double>(a.y_zero);
          const double low = static_cast<double>(least(a.dtype)) - zero, high = low + 255;
          std::vector<int64_t> sums(static_cast<size_t>(y.numel()), 0);
          for_taps(
              x.slice(1, 3), y.slice(1, 3), window_of(a, w.slice(2, 4)),
              [&](int64_t pixel, int64_t tap, int64_t from) {
                for (int64_t n = 0; n < x[0]; ++n)
                  for (int64_t o = 0; o < w[0]; ++o)
                    for (int64_t c = 0; c < w[1]; ++c)
                      sums[(n * y[1] * y[2] + pixel) * w[0] + o] +=
                          (r.in(0).i[(n * x[1] * x[2] + from) * x[3] + o / per_group * w[1] + c] -
                           a.x_zero) *
                          r.in(1).i[(o * w[1] + c) * w[2] * w[3] + tap];
              });
          for (int64_t k = 0; k < r.out().n; ++k) {
            const double v = rescaled(r, a, sums[static_cast<size_t>(k)], k % w[0], k);
            if (a.dtype == DType::f32)
              r.out().d[k] = v;
            else  // NaN becomes the least
              r.out().i[k] =
                  static_cast<int64_t>(std::nearbyint(v > low ? std::min(v, high) : low) + zero);
          }
        },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.outputs[0].shape.numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const auto add = [&](std::vector<SampleInput> in, const ConvInt8Attrs& a,
                               const std::string& torch) {
            s.add(
                std::move(in), [a](const Tensors& x) { return Tensors{conv_int8(x, a)}; }, torch);
          };
          const auto bytes = [&](Shape shape) { return s.integers(shape, 0, 256, DType::u8); };
          const auto signs = [&](Shape shape) { return s.integers(shape, -128, 128, DType::i8); };
          const auto scales = [&](Shape shape) { return s.integers(shape, 100, 200, DType::i32); };
          const std::string rows = ".permute(0, 2, 3, 1)",
                            conv = "F.conv2d({0}.double().permute(0, 3, 1, 2), {1}.double()";
          ConvInt8Attrs a;
          a.stride = a.dilation = a.pad_low = a.pad_high = {1, 1};
          ConvInt8Attrs whole = a;
          whole.dtype = DType::u8;
          whole.bias = true;
          whole.low = 0;
          whole.y_zero = 3;
          add({signs({1, 3, 4, 8}), signs({4, 8, 3, 3}), scales({4}),
               s.integers({4}, -900, 900, DType::i32)},
              whole,
              "torch.clamp(torch.round(torch.relu((" + conv + ", padding=1)" + rows +
                  " + {3}) * 1e-6 * {2})) + 3, 0, 255).to(torch.uint8)");
          ConvInt8Attrs deep = whole;
          deep.groups = 8;
          deep.x_zero = -2;
          deep.y_zero = 0;
          deep.high = 90.25;
          add({signs({2, 4, 4, 8}), signs({8, 1, 3, 3}), s.integers({8}, 2000, 4000, DType::i32),
               s.integers({8}, -900, 900, DType::i32)},
              deep,
              "torch.clamp(torch.round(torch.clamp((F.conv2d(F.pad({0}.double()"
              ".permute(0, 3, 1, 2) + 2, (1, 1, 1, 1)), {1}.double(), groups=8)" +
                  rows + " + {3}) * 1e-6 * {2}, 0, 90.25)), 0, 255).to(torch.uint8)");
          ConvInt8Attrs sum = a;
          sum.dtype = DType::i8;
          sum.stride = {2, 1};
          sum.pad_low = sum.pad_high = {0, 0};
          sum.x_zero = 7;
          sum.residual = sum.rounded = true;
          sum.sum_low = -128;
          sum.sum_high = 127;
          sum.sum_scale = 0.7031;
          sum.residual_scale = 0.3719;
          sum.residual_zero = 101;
          add({bytes({1, 5, 6, 3}), signs({5, 3, 3, 3}), scales({5}), bytes({1, 2, 4, 5})}, sum,
              "torch.clamp(torch.round(torch.clamp(torch.round(F.conv2d({0}.double()"
              ".permute(0, 3, 1, 2) - 7, {1}.double(), stride=(2, 1))" +
                  rows +
                  " * 1e-6 * {2}), -128, 127) * 0.7031 + 0.3719 * ({3}.double() - 101)), -128, 127)"
                  ".to(torch.int8)");
          add({bytes({2, 4, 5, 4}), signs({6, 4, 3, 3}), scales({6})}, a,
              conv + ", padding=1)" + rows + " * 1e-6 * {2}");
          ConvInt8Attrs gated = a;
          gated.dtype = DType::i8;
          gated.bias = gated.swish = true;
          gated.y_zero = -100;
          gated.sum_scale = 31.7;
          add({bytes({2, 4, 5, 4}), signs({6, 4, 3, 3}), scales({6}),
               s.integers({6}, -900, 900, DType::i32)},
              gated,
              "torch.clamp(torch.round(31.7 * F.silu((" + conv + ", padding=1)" + rows +
                  " + {3}) * 1e-6 * {2})) - 100, -128, 127).to(torch.int8)");
          const auto refuse = [&](std::vector<SampleInput> in, const ConvInt8Attrs& b,
                                  const char* why) {
            s.bad(
                std::move(in), [b](const Tensors& x) { return Tensors{conv_int8(x, b)}; }, why);
          };
          refuse({bytes({1, 4, 5, 6}), signs({6, 4, 3, 3}), scales({6})}, a, "weight expects 4");
          refuse({bytes({1, 4, 5, 4}), signs({6, 4, 3, 3}), scales({5})}, a,
                 "the scale needs shape 6");
          refuse({bytes({1, 4, 5, 4}), signs({6, 4, 3, 3}), scales({6})}, whole,
                 "has 3 inputs, its attributes say 4");
          refuse({bytes({1, 4, 5, 4}), bytes({6, 4, 3, 3}), scales({6})}, a, "weights of i8");
          refuse({bytes({1, 5, 6, 3}), signs({5, 3, 3, 3}), scales({5}), bytes({1, 2, 4, 6})}, sum,
                 "the residual needs integers");
          ConvInt8Attrs both = sum;
          both.swish = true;
          refuse({bytes({1, 5, 6, 3}), signs({5, 3, 3, 3}), scales({5}), bytes({1, 2, 4, 5})}, both,
                 "has swish and a residual");
          ConvInt8Attrs far = a;
          far.x_zero = 256;
          refuse({bytes({1, 4, 5, 4}), signs({6, 4, 3, 3}), scales({6})}, far, "a zero point");
          far = a;
          far.high = NAN;
          refuse({bytes({1, 4, 5, 4}), signs({6, 4, 3, 3}), scales({6})}, far, "low is above high");
        },
};

}  // namespace nacre
