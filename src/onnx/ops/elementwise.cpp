// Arithmetic, comparison, logic and activations.
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

/// The second operand as opsets before 7 broadcast it: aligned with the first at `axis`.
Tensor second(const Call& c) {
  Tensor b = c[1];
  if (c.opset >= 7) return b;
  const bool aligned = c.given("axis");
  if (!c.i("broadcast") || !aligned || b.rank() == 0) return b;
  const int64_t rank = c.rank(0), axis = c.axis(c.i("axis"), rank);
  Shape shape = b.shape();
  while (shape.rank() < rank - axis) shape.push_back(1);
  return reshape(b, shape);
}

template <Tensor (*F)(In, In)>
Values arithmetic(Call& c) {
  return {like(c.in[0], F(c[0], second(c)))};
}
template <Tensor (*F)(In, In)>
Values compare(Call& c) {
  return {F(c[0], second(c))};
}

/// u64 as numbers that compare as i64 do.
Tensor ordered(const Value& v) {
  return v.elem() == Elem::u64 ? bitwise_xor(v.tensor(), INT64_MIN) : v.tensor();
}
template <Tensor (*F)(In, In)>
Values order(Call& c) {
  if (c.in[0].elem() != Elem::u64) return compare<F>(c);
  return {F(ordered(c.in[0]), ordered(c.in[1]))};
}
template <Tensor (*F)(In, In)>
Values extreme(Call& c) {
  Tensor y = ordered(c.value(0));
  for (size_t i = 1; i < c.in.size(); ++i) y = F(y, ordered(c.value(i)));
  return {c.in[0].elem() == Elem::u64 ? Value(bitwise_xor(y, INT64_MIN), Elem::u64)
                                      : like(c.in[0], y)};
}

/// Integers divide towards zero.
Tensor quotient(const Tensor& a, const Tensor& b) {
  const Tensor q = floor_div(a, b);
  const Tensor inexact = ne(q * b, a), opposite = ne(a < 0, b < 0);
  return where(logical_and(inexact, opposite), q + 1, q);
}

/// Bits of an integer type.
int64_t bits_of(Elem e) {
  switch (e) {
    case Elem::u8:
    case Elem::i8:
      return 8;
    case Elem::u16:
    case Elem::i16:
      return 16;
    case Elem::u32:
    case Elem::i32:
      return 32;
    default:
      return 64;
  }
}

Values bit_shift(Call& c) {
  const std::string direction = c.s("direction");
  c.check(direction == "LEFT" || direction == "RIGHT",
          {"direction '", direction, "' is neither LEFT nor RIGHT"});
  const bool left = direction == "LEFT";
  const Elem e = c.in[0].elem();
  const Tensor& x = c[0];
  // By all bits or more, or by less than none, everything but the sign is moved out.
  const Tensor outside = logical_or(c[1] < 0, ge(c[1], bits_of(e))), n = where(outside, 0, c[1]);
  if (left) return {like(c.in[0], where(outside, 0, shift_left(x, n)))};
  if (e == Elem::u64) {  // the sign bit is a bit like any other
    const Tensor once = bitwise_and(shift_right(x, 1), INT64_MAX);
    const Tensor y = where(eq(n, 0), x, shift_right(once, maximum(n - 1, 0)));
    return {Value(where(outside, 0, y), e)};
  }
  return {like(c.in[0], where(outside, where(x < 0, -1, 0), shift_right(x, n)))};
}

/// Softmax and its kin: before opset 13 over all dimensions from the axis on.
template <typename F>
Values over_axis(Call& c, F f) {
  const Tensor& x = c[0];
  if (c.opset >= 13) return {f(x, c.axis(c.i("axis", -1), x.rank()))};
  const int64_t axis = c.axis(c.i("axis", 1), x.rank());
  int64_t rows = 1;
  for (int64_t d = 0; d < axis; ++d) rows *= x.size(d);
  const int64_t columns = rows ? x.numel() / rows : 0;
  return {reshape(f(reshape(x, {rows, columns}), 1), x.shape())};
}

/// A bound of Clip: an input since opset 11.
template <Tensor (*F)(In, In)>
Tensor bounded(const Call& c, const Tensor& x, size_t input, const char* attribute) {
  if (c.has(input)) return F(x, c[input]);
  if (c.given(attribute)) return F(x, Tensor::scalar(c.f(attribute), x.dtype()));
  return x;
}

}  // namespace

ONNX(Add) = {"Add", arithmetic<add>};
ONNX(Sub) = {"Sub", arithmetic<sub>};
ONNX(Mul) = {"Mul", arithmetic<mul>};
ONNX(Div) = {"Div", [](Call& c) -> Values {
               if (is_float(c[0].dtype())) return arithmetic<div>(c);
               return {like(c.in[0], quotient(c[0], second(c)))};
             }};
ONNX(Pow) = {"Pow", arithmetic<pow>};
ONNX(Mod) = {"Mod", [](Call& c) -> Values {
               return {like(c.in[0], c.i("fmod") ? fmod(c[0], c[1]) : remainder(c[0], c[1]))};
             }};
ONNX(And) = {"And", compare<logical_and>};
ONNX(Or) = {"Or", compare<logical_or>};
ONNX(Xor) = {"Xor", compare<logical_xor>};
ONNX(Equal) = {
    "Equal", [](Call& c) -> Values {
      if (!c.value(0).is_strings()) return compare<eq>(c);
      // Text is compared by numbers that stand for it.
      std::map<std::string, int64_t> numbers;
      const auto numbered = [&](const Value& v) {
        std::vector<int64_t> n;
        for (const std::string& s : v.text())
          n.push_back(numbers.emplace(s, static_cast<int64_t>(numbers.size())).first->second);
        return Tensor::from(n, v.shape());
      };
      const Tensor a = numbered(c.value(0));
      return {eq(a, numbered(c.value(1)))};
    }};
ONNX(Greater) = {"Greater", order<gt>};
ONNX(GreaterOrEqual) = {"GreaterOrEqual", order<ge>};
ONNX(Less) = {"Less", order<lt>};
ONNX(LessOrEqual) = {"LessOrEqual", order<le>};
ONNX(Max) = {"Max", extreme<maximum>};
ONNX(Min) = {"Min", extreme<minimum>};
ONNX(BitShift) = {"BitShift", bit_shift};
ONNX(Not) = {"Not", [](Call& c) -> Values { return {logical_not(c[0])}; }};

ONNX(Sum) = {"Sum", [](Call& c) -> Values {
               Tensor y = c[0];
               for (size_t i = 1; i < c.in.size(); ++i) y = y + c[i];
               return {y};
             }};
ONNX(Mean) = {"Mean", [](Call& c) -> Values {
                Tensor y = c[0];
                for (size_t i = 1; i < c.in.size(); ++i) y = y + c[i];
                return {y / static_cast<double>(c.in.size())};
              }};

ONNX(IsInf) = {"IsInf", [](Call& c) -> Values {
                 const bool positive = c.i("detect_positive", 1),
                            negative = c.i("detect_negative", 1);
                 const Tensor &x = c[0], infinite = isinf(x);
                 if (positive && negative) return {infinite};
                 if (positive) return {logical_and(infinite, x > 0.0)};
                 if (negative) return {logical_and(infinite, x < 0.0)};
                 return {zeros(x.shape(), DType::boolean)};
               }};

ONNX(Clip) = {"Clip", [](Call& c) -> Values {
                const Tensor x = bounded<maximum>(c, c[0], 1, "min");
                return {like(c.in[0], bounded<minimum>(c, x, 2, "max"))};
              }};

ONNX(Elu) = {"Elu", [](Call& c) -> Values { return {elu(c[0], c.f("alpha", 1))}; }};
ONNX(Celu) = {"Celu", [](Call& c) -> Values { return {celu(c[0], c.f("alpha", 1))}; }};
ONNX(Selu) = {"Selu", [](Call& c) -> Values {
                const double alpha = c.f("alpha", 1.67326319217681884765625);
                return {elu(c[0], alpha) * c.f("gamma", 1.05070102214813232421875)};
              }};
ONNX(LeakyRelu) = {"LeakyRelu",
                   [](Call& c) -> Values { return {leaky_relu(c[0], c.f("alpha", 0.01))}; }};
ONNX(PRelu) = {
    "PRelu", [](Call& c) -> Values {
      Tensor slope = c[1];
      if (c.opset < 7 && slope.rank() == 1 && c.rank(0) > 2) {
        Shape shape = {slope.size(0)};
        while (shape.rank() < c.rank(0) - 1) shape.push_back(1);
        slope = reshape(slope, shape);
      }
      // One slope, or one for each channel: the op of that name.
      const int64_t n = slope.numel(), rank = c.rank(0);
      if (is_float(slope.dtype()) && rank >= 2 &&
          (n == 1 || (n == c.shape(0)[1] && slope.rank() >= rank - 1 && slope.size(1 - rank) == n)))
        return {prelu(c[0], reshape(slope, {n}))};
      return {where(c[0] < 0, c[0] * slope, c[0])};
    }};
ONNX(ThresholdedRelu) = {"ThresholdedRelu", [](Call& c) -> Values {
                           return {where(c[0] > c.f("alpha", 1), c[0], 0.0)};
                         }};
ONNX(HardSigmoid) = {"HardSigmoid", [](Call& c) -> Values {
                       return {hard_sigmoid(c[0], c.f("alpha", 0.2), c.f("beta", 0.5))};
                     }};
ONNX(Softplus) = {"Softplus", [](Call& c) -> Values { return {softplus(c[0])}; }};
ONNX(Gelu) = {"Gelu", [](Call& c) -> Values { return {gelu(c[0], c.s("approximate", "none"))}; }};
ONNX(Swish) = {"Swish", [](Call& c) -> Values { return {c[0] * sigmoid(c[0] * c.f("alpha", 1))}; }};
ONNX(SwiGLU) = {"SwiGLU", [](Call& c) -> Values {
                  c.check(c.shape(0) == c.shape(1), {"A ", c.shape(0), " and B ", c.shape(1)});
                  return {c[0] * sigmoid(c[0] * c.f("alpha", 1)) * c[1]};
                }};
ONNX(Shrink) = {
    "Shrink", [](Call& c) -> Values {
      const double bias = c.f("bias"), lambda = c.f("lambd", 0.5);
      const Tensor& x = c[0];
      return {like(c.in[0], where(x < -lambda, x + bias, where(x > lambda, x - bias, 0)))};
    }};
ONNX(Softmax) = {"Softmax", [](Call& c) -> Values {
                   return over_axis(c,
                                    [](const Tensor& x, int64_t axis) { return softmax(x, axis); });
                 }};
ONNX(LogSoftmax) = {"LogSoftmax", [](Call& c) -> Values {
                      return over_axis(
                          c, [](const Tensor& x, int64_t axis) { return log_softmax(x, axis); });
                    }};
ONNX(Hardmax) = {"Hardmax", [](Call& c) -> Values {
                   return over_axis(c, [](const Tensor& x, int64_t axis) {
                     return movedim(one_hot(argmax(x, axis), x.size(axis), x.dtype()), -1, axis);
                   });
                 }};

}  // namespace nacre::onnx
