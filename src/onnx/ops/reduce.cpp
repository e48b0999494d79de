// Reductions over axes, and positions of extremes.
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

using Reduce = Tensor (*)(In, const Ints&, bool);

/// Axes are an attribute before opset 18 (ReduceSum: 13), then an input. None: all, unless
/// noop_with_empty_axes.
template <typename F>
Values reduced(Call& c, F f) {
  const Tensor& x = c[0];
  Ints axes = ints_of(c, "axes", 1);
  const bool keep = c.i("keepdims", 1) != 0, idle = c.i("noop_with_empty_axes") != 0;
  if (axes.empty()) {
    if (idle) return {c.in[0]};
    for (int64_t d = 0; d < x.rank(); ++d) axes.push_back(d);
  }
  for (int64_t& a : axes) a = c.axis(a, x.rank());
  if (axes.empty()) return {like(c.in[0], f(reshape(x, {1}), {0}, false))};  // a scalar
  return {like(c.in[0], f(x, axes, keep))};
}

/// The largest or smallest of nothing is the end of the type's range.
template <Reduce F>
Values extreme(Call& c, bool largest) {
  return reduced(c, [&](const Tensor& x, const Ints& axes, bool keep) {
    if (x.dtype() == DType::boolean) return largest ? any(x, axes, keep) : all(x, axes, keep);
    if (x.numel()) return F(x, axes, keep);
    const Tensor shape = sum(x, axes, keep);
    c.check(is_float(x.dtype()) || shape.numel() == 0, {"reduces integers over no elements"});
    return full(shape.shape(), largest ? -INFINITY : INFINITY, x.dtype());
  });
}

template <Tensor (*F)(In, int64_t, bool)>
Values arg(Call& c) {
  const Tensor& x = c[0];
  const int64_t axis = c.axis(c.i("axis"), x.rank());
  const bool keep = c.i("keepdims", 1) != 0;
  if (!c.i("select_last_index")) return {F(x, axis, keep)};
  return {(x.size(axis) - 1) - F(flip(x, {axis}), axis, keep)};
}

Tensor norm_of(const Tensor& x, double p, const Ints& axes, bool keep) {
  if (is_float(x.dtype())) return norm(x, p, axes, keep);
  return norm(cast(x, DType::f64), p, axes, keep);
}

}  // namespace

ONNX(ReduceSum) = {"ReduceSum", [](Call& c) -> Values { return reduced(c, sum); }};
ONNX(ReduceMean) = {"ReduceMean", [](Call& c) -> Values { return reduced(c, mean); }};
ONNX(ReduceProd) = {"ReduceProd", [](Call& c) -> Values { return reduced(c, prod); }};
ONNX(ReduceMax) = {"ReduceMax", [](Call& c) -> Values { return extreme<amax>(c, true); }};
ONNX(ReduceMin) = {"ReduceMin", [](Call& c) -> Values { return extreme<amin>(c, false); }};
ONNX(ReduceL1) = {
    "ReduceL1", [](Call& c) -> Values {
      return reduced(c, [](In x, const Ints& axes, bool keep) { return sum(abs(x), axes, keep); });
    }};
ONNX(ReduceL2) = {"ReduceL2", [](Call& c) -> Values {
                    return reduced(c, [](In x, const Ints& axes, bool keep) {
                      return norm_of(x, 2, axes, keep);
                    });
                  }};
ONNX(ReduceSumSquare) = {"ReduceSumSquare", [](Call& c) -> Values {
                           return reduced(c, [](In x, const Ints& axes, bool keep) {
                             return sum(x.get() * x, axes, keep);
                           });
                         }};
ONNX(ReduceLogSum) = {
    "ReduceLogSum", [](Call& c) -> Values {
      return reduced(c, [](In x, const Ints& axes, bool keep) { return log(sum(x, axes, keep)); });
    }};
ONNX(ReduceLogSumExp) = {"ReduceLogSumExp",
                         [](Call& c) -> Values { return reduced(c, logsumexp); }};
ONNX(ArgMax) = {"ArgMax", arg<argmax>};
ONNX(ArgMin) = {"ArgMin", arg<argmin>};

ONNX(CumProd) = {"CumProd", [](Call& c) -> Values {
                   const int64_t axis = c.axis(c.integer(1), c.rank(0)), n = c.shape(0)[axis];
                   Tensor y = c[0];
                   const bool reverse = c.i("reverse") != 0;
                   if (reverse) y = flip(y, {axis});
                   // Entries moved up by k, ones in their place.
                   const auto moved_up = [&](const Tensor& x, int64_t k) {
                     Ints low(x.shape().size(), 0), high = low;
                     low[axis] = k;
                     high[axis] = -k;
                     return pad(x, low, high, "constant", Tensor::scalar(1, x.dtype()));
                   };
                   if (c.i("exclusive") && n) y = moved_up(y, 1);
                   for (int64_t k = 1; k < n; k *= 2) y = y * moved_up(y, k);
                   return {like(c.in[0], reverse ? flip(y, {axis}) : y)};
                 }};
ONNX(CumSum) = {"CumSum", [](Call& c) -> Values {
                  const int64_t axis = c.axis(c.integer(1), c.rank(0));
                  Tensor x = c[0];
                  const bool reverse = c.i("reverse") != 0;
                  if (reverse) x = flip(x, {axis});
                  Tensor y = cumsum(x, axis);
                  if (c.i("exclusive")) y = y - x;
                  return {like(c.in[0], reverse ? flip(y, {axis}) : y)};
                }};

}  // namespace nacre::onnx
