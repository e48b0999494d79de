// Integers that stand for numbers: value = (q - zero) * scale.
#include "nacre/quantize.h"
#include "onnx/cast.h"
#include "onnx/window.h"

namespace nacre::onnx {
namespace {

/// A scale or zero point, shaped to broadcast against x: one for all, one for each entry of the
/// axis, or one for each block along it.
Tensor spread(const Call& c, const Tensor& v, const Shape& x, int64_t axis, int64_t block) {
  if (v.numel() == 1) return reshape(v, Shape{});
  if (block > 0) {
    const Tensor wide = repeat_interleave(v, block, axis);
    return slice(wide, axis, 0, x[axis]);
  }
  c.check(v.rank() == 1 && v.numel() == x[axis],
          {"scales of shape ", v.shape(), " for axis ", axis, " of ", x});
  Shape shape(x.size(), 1);
  shape[axis] = v.numel();
  return reshape(v, shape);
}

int64_t axis_of(const Call& c) {
  const int64_t rank = c.rank(0), a = c.i("axis", 1);
  return rank <= 1 ? 0 : c.axis(a, rank);
}

struct Range {
  double low, high;
};
Range range_of(const Call& c, Elem e) {
  switch (e) {
    case Elem::u8:
      return {0, 255};
    case Elem::i8:
      return {-128, 127};
    case Elem::u16:
      return {0, 65535};
    case Elem::i16:
      return {-32768, 32767};
    case Elem::u4:
      return {0, 15};
    case Elem::i4:
      return {-8, 7};
    case Elem::u2:
      return {0, 3};
    case Elem::i2:
      return {-2, 1};
    case Elem::i32:
      return {-2147483648.0, 2147483647.0};
    default:
      c.fail({"cannot quantise to ", name_of(e)});
  }
}

/// `precision`: the element type to divide in; undefined: x's own, no narrower than f32.
Value quantised(const Call& c, const Tensor& x, const Tensor& scale, const Tensor& zero, Elem to,
                Elem precision = Elem::undefined) {
  const DType t = precision != Elem::undefined ? storage_of(precision)
                  : size_of(x.dtype()) < 4     ? DType::f32
                                               : x.dtype();
  const Tensor ratio = cast(x, t) / cast(scale, t);
  const Tensor q = size_of(t) < 4 ? cast(ratio, DType::f32) : ratio;
  if (!is_integer(storage_of(to))) return cast_value(q, to, c.i("saturate", 1) != 0);
  const Range r = range_of(c, to);
  const Tensor shifted = zero.defined() ? round(q) + cast(zero, q.dtype()) : round(q);
  return {cast(clip(shifted, r.low, r.high), storage_of(to)), to};
}

/// q - zero as numbers.
Tensor centred(const Tensor& q, const Tensor& zero, DType t) {
  return zero.defined() ? cast(q, t) - cast(zero, t) : cast(q, t);
}

/// True for one scale, or one for each entry of the axis, of f32: the ops of nacre's.
bool plain_scales(const Call& c, int64_t axis, int64_t block) {
  const Tensor& scale = c[1];
  const bool one = scale.numel() == 1;
  const bool fits = one || (scale.rank() == 1 && scale.numel() == c.shape(0)[axis]);
  return scale.dtype() == DType::f32 && block == 0 && fits &&
         (!c.has(2) || c[2].numel() == scale.numel());
}
/// A scale or zero point for them.
Tensor plain(const Tensor& v) { return v.numel() == 1 ? reshape(v, Shape{}) : v; }

Values quantize_linear(Call& c) {
  const int64_t axis = axis_of(c), block = c.i("block_size");
  const Elem wanted = static_cast<Elem>(c.i("output_dtype"));
  const Elem precision = static_cast<Elem>(c.i("precision"));
  c.i("saturate", 1);  // of no meaning for integers
  const Elem to = c.has(2) ? c.in[2].elem() : wanted == Elem::undefined ? Elem::u8 : wanted;
  if ((to == Elem::u8 || to == Elem::i8) && c[0].dtype() == DType::f32 &&
      plain_scales(c, axis, block) && (precision == Elem::undefined || precision == Elem::f32)) {
    const Tensor by = plain(c[1]);
    return {quantize(c[0], by, c.has(2) ? plain(c[2]) : zeros(by.shape(), storage_of(to)), axis)};
  }
  const Tensor scale = spread(c, c[1], c.shape(0), axis, block);
  const Tensor zero = c.has(2) ? spread(c, c[2], c.shape(0), axis, block) : Tensor();
  return {quantised(c, c[0], scale, zero, to, precision)};
}

Values dequantize_linear(Call& c) {
  const int64_t axis = axis_of(c), block = c.i("block_size");
  const DType t = c[1].dtype();
  const Elem from = c.in[0].elem(), result = static_cast<Elem>(c.i("output_dtype"));
  if ((from == Elem::u8 || from == Elem::i8 || from == Elem::i32) && plain_scales(c, axis, block) &&
      (result == Elem::undefined || result == Elem::f32)) {
    const Tensor by = plain(c[1]);
    return {
        dequantize(c[0], by, c.has(2) ? plain(c[2]) : zeros(by.shape(), storage_of(from)), axis)};
  }
  const Tensor scale = spread(c, c[1], c.shape(0), axis, block);
  const Tensor zero = c.has(2) ? spread(c, c[2], c.shape(0), axis, block) : Tensor();
  const DType wide = t == DType::f64 ? t : DType::f32;
  return {cast(centred(c[0], zero, wide) * cast(scale, wide),
               result == Elem::undefined ? t : storage_of(result))};
}

Values dynamic_quantize(Call& c) {
  const Tensor& x = c[0];
  const Tensor low = minimum(amin(x), 0.0), high = maximum(amax(x), 0.0);
  Tensor scale = (high - low) / 255.0;
  scale = where(eq(scale, 0.0), 1.0, scale);
  const Tensor zero = clip(round(0.0 - low / scale), 0, 255);
  return {quantised(c, x, scale, zero, Elem::u8), scale, cast(zero, DType::u8)};
}

/// A zero point of a matrix: one for each row of the left, or column of the right one.
Tensor zero_of_matrix(const Call& c, size_t input, bool rows) {
  if (!c.has(input)) return {};
  const Tensor& z = c[input];
  return z.rank() == 1 && z.numel() > 1 && rows ? unsqueeze(z, 1) : z;
}

/// Sums of products of 8-bit integers; floats of 24 bits hold up to 256 of them exactly.
DType exact_for(int64_t products) { return products <= 256 ? DType::f32 : DType::f64; }

Values qlinear_matmul(Call& c) {
  const DType t = exact_for(c.shape(0).empty() ? 1 : c.shape(0).back());
  const auto scale = [&](size_t i, bool rows) {
    const Tensor& s = c[i];
    return cast(s.rank() == 1 && s.numel() > 1 && rows ? unsqueeze(s, 1) : s, t);
  };
  const Tensor a = centred(c[0], zero_of_matrix(c, 2, true), t);
  const Tensor b = centred(c[3], zero_of_matrix(c, 5, false), t);
  const Tensor y = numpy_matmul(c, a, b) * (scale(1, true) * scale(4, false));
  return {quantised(c, y, c[6], c[7], c.in[7].elem())};
}

Values matmul_integer(Call& c) {
  const DType t = exact_for(c.shape(0).empty() ? 1 : c.shape(0).back());
  const Tensor a = centred(c[0], zero_of_matrix(c, 2, true), t);
  const Tensor b = centred(c[1], zero_of_matrix(c, 3, false), t);
  return {cast(numpy_matmul(c, a, b), DType::i32)};
}

/// One for each output channel, against a weight of that rank.
Tensor by_output(const Tensor& v, int64_t rank) {
  if (!v.defined() || v.numel() == 1) return v.defined() ? reshape(v, Shape{}) : v;
  Shape shape(static_cast<size_t>(rank), 1);
  shape[0] = v.numel();
  return reshape(v, shape);
}

int64_t taps(const Shape& w) { return w.slice(std::min<int64_t>(1, w.rank()), w.rank()).numel(); }

Values conv_integer(Call& c) {
  const DType t = exact_for(taps(c.shape(1)));
  const Tensor zero = c.has(2) ? reshape(c[2], Shape{}) : Tensor();
  const Tensor x = centred(c[0], zero, t);
  const Tensor w = centred(c[1], by_output(c.optional(3), c.rank(1)), t);
  return {cast(convolve(c, x, w, {}), DType::i32)};
}

Values qlinear_conv(Call& c) {
  const DType t = exact_for(taps(c.shape(3)));
  const Tensor x = centred(c[0], reshape(c[2], Shape{}), t);
  const Tensor w = centred(c[3], by_output(c[5], c.rank(3)), t);
  Tensor y = convolve(c, x, w, {});
  if (c.has(8)) y = y + along_channels(cast(c[8], t), y.rank());
  const Tensor ws = cast(c[4], t);
  const Tensor scale = ws.numel() == 1 ? reshape(ws, Shape{}) : along_channels(ws, y.rank());
  y = y * (scale * cast(reshape(c[1], Shape{}), t));
  return {quantised(c, y, reshape(c[6], Shape{}), reshape(c[7], Shape{}), c.in[7].elem())};
}

/// Operators that ONNX Runtime's quantiser writes: value, scale and zero point of each operand,
/// then of the result.
template <Tensor (*F)(In, In)>
Values qlinear_binary(Call& c) {
  const auto number = [&](size_t i) {
    return centred(c[i], c.optional(i + 2), DType::f32) * c[i + 1];
  };
  return {quantised(c, F(number(0), number(3)), c[6], c.optional(7), c.in[0].elem())};
}
Values qlinear_unary(Call& c, const std::function<Tensor(const Tensor&)>& f) {
  const Tensor x = centred(c[0], c.optional(2), DType::f32) * c[1];
  return {quantised(c, f(x), c[3], c.optional(4), c.in[0].elem())};
}

/// As qlinear_unary, for pools, whose channels may be last.
Values qlinear_pool(Call& c, const std::function<Tensor(const Tensor&)>& f) {
  const bool last = c.i("channels_last") != 0;
  return qlinear_unary(
      c, [&](const Tensor& x) { return last ? movedim(f(movedim(x, -1, 1)), 1, -1) : f(x); });
}

Values qlinear_concat(Call& c) {
  c.check(c.in.size() >= 5 && c.in.size() % 3 == 2, {"has ", c.in.size(), " inputs"});
  Tensors parts;
  for (size_t i = 2; i < c.in.size(); i += 3)
    parts.push_back(centred(c[i], c.optional(i + 2), DType::f32) * c[i + 1]);
  const Tensor y = concat(parts, c.axis(c.i("axis"), parts[0].rank()));
  return {quantised(c, y, c[0], c.optional(1), c.in[2].elem())};
}

/// Gemm of integers; the bias has the scale of the products. Without a scale of its own the result
/// is floating.
Values qgemm(Call& c) {
  c.check(c.rank(0) == 2 && c.rank(3) == 2, {"takes matrices"});
  const bool by_row = c.i("transB") != 0;  // scales are those of columns of the product
  const auto of_b = [&](size_t i) {
    Tensor t = c.optional(i);
    return t.defined() && t.numel() > 1 && by_row ? reshape(t, {t.numel(), 1}) : t;
  };
  const DType t = exact_for(c.shape(0)[c.i("transA") ? 0 : 1]);
  Tensor a = centred(c[0], c.optional(2), t), b = centred(c[3], of_b(5), t);
  if (c.i("transA")) a = transpose(a);
  if (by_row) b = transpose(b);
  Tensor y = matmul(a, b);
  if (c.has(6)) y = y + cast(c[6], t);
  y = y * (cast(c[1], t) * cast(c[4], t) * c.f("alpha", 1));
  if (!c.has(7)) return {cast(y, DType::f32)};
  return {quantised(c, y, c[7], c.optional(8), c.in[0].elem())};
}

/// a (integers, zero point) times b, scaled to numbers.
Values scaled_product(const Call& c, const Tensor& a, size_t b, const Tensor& scale, size_t zero,
                      size_t bias) {
  const Tensor y = numpy_matmul(c, a, centred(c[b], c.optional(zero), a.dtype()));
  const Tensor numbers = cast(y * cast(scale, y.dtype()), DType::f32);
  return {c.has(bias) ? numbers + c[bias] : numbers};
}

Values matmul_integer_to_float(Call& c) {
  const DType t = exact_for(c.shape(0).empty() ? 1 : c.shape(0).back());
  return scaled_product(c, centred(c[0], c.optional(4), t), 1, c[2] * c[3], 5, 6);
}

Values dynamic_quantize_matmul(Call& c) {
  const DType t = exact_for(c.shape(0).empty() ? 1 : c.shape(0).back());
  const Values q = dynamic_quantize(c);  // of the first input
  const Tensor a = centred(q[0].tensor(), q[2].tensor(), t);
  return scaled_product(c, a, 1, q[1].tensor() * c[2], 3, 4);
}

}  // namespace

ONNX(QuantizeLinear) = {"QuantizeLinear", quantize_linear, "", "1,2"};
ONNX(DequantizeLinear) = {"DequantizeLinear", dequantize_linear, "", "1,2"};
ONNX(DynamicQuantizeLinear) = {"DynamicQuantizeLinear", dynamic_quantize};
ONNX(QLinearMatMul) = {"QLinearMatMul", qlinear_matmul, "", "1,4,6"};
ONNX(MatMulInteger) = {"MatMulInteger", matmul_integer};
ONNX(ConvInteger) = {"ConvInteger", conv_integer};
ONNX(QLinearConv) = {"QLinearConv", qlinear_conv, "", "1,4,6"};

ONNX(ms_QuantizeLinear) = {"QuantizeLinear", quantize_linear, kMicrosoft, "1,2"};
ONNX(ms_DequantizeLinear) = {"DequantizeLinear", dequantize_linear, kMicrosoft, "1,2"};
ONNX(ms_QLinearAdd) = {"QLinearAdd", qlinear_binary<add>, kMicrosoft, "1,4,6"};
ONNX(ms_QLinearMul) = {"QLinearMul", qlinear_binary<mul>, kMicrosoft, "1,4,6"};
ONNX(ms_QLinearSigmoid) = {
    "QLinearSigmoid",
    [](Call& c) { return qlinear_unary(c, [](const Tensor& x) { return sigmoid(x); }); },
    kMicrosoft, "1,3"};
ONNX(ms_QLinearLeakyRelu) = {
    "QLinearLeakyRelu",
    [](Call& c) {
      return qlinear_unary(c, [&](const Tensor& x) { return leaky_relu(x, c.f("alpha", 0.01)); });
    },
    kMicrosoft, "1,3"};

ONNX(ms_QLinearAveragePool) = {
    "QLinearAveragePool",
    [](Call& c) { return qlinear_pool(c, [&](const Tensor& x) { return pooled_average(c, x); }); },
    kMicrosoft, "1,3"};
ONNX(ms_QLinearGlobalAveragePool) = {"QLinearGlobalAveragePool",
                                     [](Call& c) {
                                       return qlinear_pool(c, [](const Tensor& x) {
                                         Ints dims;
                                         for (int64_t d = 2; d < x.rank(); ++d) dims.push_back(d);
                                         return mean(x, dims, true);
                                       });
                                     },
                                     kMicrosoft, "1,3"};
ONNX(ms_QLinearConcat) = {"QLinearConcat", qlinear_concat, kMicrosoft, "0,3,6,9"};
ONNX(ms_QGemm) = {"QGemm", qgemm, kMicrosoft, "1,4,7"};
ONNX(ms_MatMulIntegerToFloat) = {"MatMulIntegerToFloat", matmul_integer_to_float, kMicrosoft,
                                 "2,3"};
ONNX(ms_DynamicQuantizeMatMul) = {"DynamicQuantizeMatMul", dynamic_quantize_matmul, kMicrosoft,
                                  "2"};

}  // namespace nacre::onnx
