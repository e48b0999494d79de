// The builtin operators of TFLite. Fields of options have the numbers of schema.fbs.
#include <algorithm>
#include <cmath>

#include "importers/tflite.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using Values = NhwcBuilder::Values;
using Numbers = NhwcBuilder::Ints;

/// Padding, then strides of width and height, at the beginning of many options.
NhwcWindow window(const LiteCall& c) {
  NhwcWindow w;
  const int64_t padding = c.options.i8(0);
  if (padding != 0 && padding != 1) throw NoTranslation{"an unknown padding"};
  w.padding = padding == 0 ? "SAME" : "VALID";
  w.strides = {c.options.i32(2), c.options.i32(1)};
  return w;
}

NhwcValue optional(LiteCall& c, size_t i) { return c.has(i) ? c[i] : nullptr; }

/// Calls f(x, weights, bias) with inputs x, w and b, as TFLite computes: on integers, or numbers.
template <typename F>
void product(LiteCall& c, size_t x, size_t w, size_t b, int64_t activation, Halves halves, F f) {
  const bool bytes = c.in_bytes({x, w, b});
  const NhwcValue from = bytes ? c.units(x) : c[x], weights = bytes ? c.units(w) : c[w];
  const NhwcValue bias = !c.has(b) ? nullptr : bytes ? c.units(b) : c[b];
  const NhwcValue y = f(from, weights, bias);
  if (bytes)  // a sum of integers, but for what fast kernels lose
    c.set_rounded(c.rounded(c.net.unary("Round", y), c.factors(x, w), halves), activation);
  else
    c.set(c.activated(y, activation));
}

void conv(LiteCall& c) {
  NhwcWindow w = window(c);
  w.dilations = {c.options.i32(5, 1), c.options.i32(4, 1)};
  product(c, 0, 1, 2, c.options.i8(3), Halves::up,
          [&](const NhwcValue& x, const NhwcValue& k, const NhwcValue& b) {
            return c.net.conv(x, k, {0, 3, 1, 2}, b, w, 0);
          });
}

void depthwise(LiteCall& c) {
  NhwcWindow w = window(c);
  w.dilations = {c.options.i32(6, 1), c.options.i32(5, 1)};
  const int64_t times = c.options.i32(3);
  const Numbers& kernel = c.tensor(1).shape;
  if (kernel.size() != 4 || times < 1 || kernel[3] < 1 || kernel[3] % times)
    fail(Error::Kind::data,
         {"makes ", times, " outputs of each channel with a kernel of rank ", kernel.size()});
  product(c, 0, 1, 2, c.options.i8(4), Halves::up,
          [&](const NhwcValue& x, const NhwcValue& k, const NhwcValue& b) {
            return c.net.conv(x, k, {3, 0, 1, 2}, b, w, kernel[3] / times);
          });
}

void conv_transpose(LiteCall& c) {
  product(c, 2, 1, 3, c.options.i8(3), Halves::away,
          [&](const NhwcValue& x, const NhwcValue& k, const NhwcValue& b) {
            return c.net.conv_transpose(x, k, {3, 0, 1, 2}, b, c.raw(0), window(c));
          });
}

/// Averages of integers, which TFLite rounds as integers: halves away from zero. Averages of pixels
/// have many halves.
template <typename F>
void averaged(LiteCall& c, int64_t activation, F f) {
  const LiteTensor& from = c.tensor(0);
  if (!from.quantised() || !c.moves_integers(0) || activation != 0)
    return c.set(c.activated(f(c[0]), activation));
  const NhwcValue y = f(c.net.cast(c.raw(0), Elem::f32));
  c.set_raw(c.net.cast(round_to_integers(c.net, y, Halves::away), from.elem()));
}

void max_pool(LiteCall& c) {
  NhwcWindow w = window(c);
  w.kernel = {c.options.i32(4), c.options.i32(3)};
  c.set(c.activated(c.net.pool(true, c[0], w), c.options.i8(5)));
}
void average_pool(LiteCall& c) {
  NhwcWindow w = window(c);
  w.kernel = {c.options.i32(4), c.options.i32(3)};
  averaged(c, c.options.i8(5), [&](const NhwcValue& x) { return c.net.pool(false, x, w); });
}

void fully_connected(LiteCall& c) {
  if (c.options.i8(1)) throw NoTranslation{"shuffled weights"};
  const Numbers& shape = c.tensor(1).shape;
  if (shape.size() != 2) throw NoTranslation{"weights that are no matrix"};
  product(c, 0, 1, 2, c.options.i8(0), Halves::up,
          [&](NhwcValue x, const NhwcValue& w, const NhwcValue& b) {
            if (!c.options.flag(2) && x->rank != 2)
              x = c.net.reshape(x, c.net.integers({-1, shape[1]}));
            const NhwcValue y = c.net.matmul(x, w, false, true);
            return b ? c.net.binary("Add", y, b) : y;
          });
}

void matmul(LiteCall& c) {
  constexpr size_t kNone = 2;  // there is no bias
  product(c, 0, 1, kNone, 0, Halves::away,
          [&](const NhwcValue& a, const NhwcValue& b, const NhwcValue&) {
            return c.net.matmul(a, b, c.options.flag(0), c.options.flag(1));
          });
}

// ---- element by element

template <char const* op>
void unary(LiteCall& c) {
  c.set(c.net.unary(op, c[0]));
}
template <char const* op>
void binary(LiteCall& c) {
  c.set(c.net.binary(op, c[0], c[1]));
}
/// With an activation.
template <char const* op>
void arithmetic(LiteCall& c) {
  c.set(c.activated(c.net.binary(op, c[0], c[1]), c.options.i8(0)));
}

constexpr char kAdd[] = "Add", kSub[] = "Sub", kMul[] = "Mul", kDiv[] = "Div", kMax[] = "Max",
               kMin[] = "Min", kPow[] = "Pow", kEqual[] = "Equal", kLess[] = "Less",
               kGreater[] = "Greater", kLessEqual[] = "LessOrEqual",
               kGreaterEqual[] = "GreaterOrEqual", kAnd[] = "And", kOr[] = "Or", kRelu[] = "Relu",
               kTanh[] = "Tanh", kSigmoid[] = "Sigmoid", kExp[] = "Exp", kLog[] = "Log",
               kNeg[] = "Neg", kAbs[] = "Abs", kSqrt[] = "Sqrt", kFloor[] = "Floor",
               kCeil[] = "Ceil", kRound[] = "Round", kSin[] = "Sin", kCos[] = "Cos",
               kSign[] = "Sign", kElu[] = "Elu", kNot[] = "Not";
constexpr char kReduceMean[] = "ReduceMean", kReduceSum[] = "ReduceSum", kReduceMax[] = "ReduceMax",
               kReduceMin[] = "ReduceMin", kReduceProd[] = "ReduceProd";

template <int low, int high>
void clip(LiteCall& c) {
  c.set(c.net.clip(c[0], low, high));
}

void hard_swish(LiteCall& c) {
  const NhwcValue x = c[0], three = c.net.number(3, Elem::f32), six = c.net.number(6, Elem::f32);
  const NhwcValue gate = c.net.clip(c.net.binary("Add", x, three), 0, 6);
  c.set(c.net.binary("Div", c.net.binary("Mul", x, gate), six));
}

/// What input i is in steps of the result.
double ratio(const LiteCall& c, size_t i) {
  return static_cast<double>(c.tensor(i).scales[0]) / static_cast<double>(c.result().scales[0]);
}

/// Integers above zero by one factor, those below by another.
void set_bent(LiteCall& c, const NhwcValue& x, const NhwcValue& below, const FixedPoint& factor) {
  const NhwcValue above = c.rounded(c.net.unary("Relu", x), {FixedPoint(ratio(c, 0))});
  c.set_rounded(c.net.binary("Add", above, c.rounded(below, {factor})));
}

void multiply(LiteCall& c) {
  if (!c.in_bytes({0, 1})) return arithmetic<kMul>(c);
  const NhwcValue a = c.units(0), b = c.units(1);
  c.set_rounded(c.rounded(c.net.binary("Mul", a, b), c.factors(0, 1)), c.options.i8(0));
}

void leaky_relu(LiteCall& c) {
  const double alpha = static_cast<double>(c.options.f32(0));
  if (!c.in_bytes({0}) || alpha <= 0)
    return c.set(c.net.unary("LeakyRelu", c[0], {{"alpha", alpha}}));
  const NhwcValue x = c.units(0), below = c.net.binary("Min", x, c.net.number(0, Elem::f32));
  set_bent(c, x, below, FixedPoint(alpha * ratio(c, 0)));
}

void prelu(LiteCall& c) {
  const NhwcValue zero = c.net.number(0, Elem::f32);
  if (c.in_bytes({0, 1})) {
    const NhwcValue x = c.units(0);
    const NhwcValue below = c.net.binary("Mul", c.net.binary("Min", x, zero), c.units(1));
    return set_bent(c, x, below, c.factors(0, 1)[0]);
  }
  const NhwcValue x = c[0];
  const NhwcValue below = c.net.binary("Mul", c.net.binary("Min", x, zero), c[1]);
  c.set(c.net.binary("Add", c.net.unary("Relu", x), below));
}

void gelu(LiteCall& c) {
  const NhwcValue x = c[0];
  const auto n = [&](double v) { return c.net.number(v, Elem::f32); };
  NhwcValue inner;
  if (c.options.flag(0)) {
    const NhwcValue cube = c.net.binary("Mul", x, c.net.binary("Mul", x, x));
    const NhwcValue sum = c.net.binary("Add", x, c.net.binary("Mul", cube, n(0.044715)));
    inner = c.net.unary("Tanh", c.net.binary("Mul", sum, n(0.7978845608028654)));
  } else {
    inner = c.net.unary("Erf", c.net.binary("Mul", x, n(0.7071067811865476)));
  }
  c.set(c.net.binary("Mul", c.net.binary("Mul", x, n(0.5)), c.net.binary("Add", inner, n(1))));
}

void softmax(LiteCall& c) {
  NhwcValue x = c[0];
  const double beta = static_cast<double>(c.options.f32(0));
  if (beta != 1) x = c.net.binary("Mul", x, c.net.number(beta, Elem::f32));
  c.set(c.net.softmax("Softmax", x, -1));
}
void log_softmax(LiteCall& c) { c.set(c.net.softmax("LogSoftmax", c[0], -1)); }

void rsqrt(LiteCall& c) { c.set(c.net.unary("Reciprocal", c.net.unary("Sqrt", c[0]))); }
void square(LiteCall& c) {
  const NhwcValue x = c[0];
  c.set(c.net.binary("Mul", x, x));
}
void squared_difference(LiteCall& c) {
  const NhwcValue d = c.net.binary("Sub", c[0], c[1]);
  c.set(c.net.binary("Mul", d, d));
}
void floor_div(LiteCall& c) { c.set(c.net.floor_div(c[0], c[1])); }
void floor_mod(LiteCall& c) { c.set(c.net.floor_mod(c[0], c[1])); }
void not_equal(LiteCall& c) { c.set(c.net.unary("Not", c.net.binary("Equal", c[0], c[1]))); }
void add_all(LiteCall& c) {
  NhwcValue sum = c[0];
  for (size_t i = 1; i < c.count(); ++i) sum = c.net.binary("Add", sum, c[i]);
  c.set(sum);
}

void l2_normalize(LiteCall& c) {
  const NhwcValue x = c[0];
  const NhwcValue sum =
      c.net.reduce("ReduceSum", c.net.binary("Mul", x, x), c.net.integers({-1}), true);
  const NhwcValue length =
      c.net.unary("Sqrt", c.net.binary("Max", sum, c.net.number(1e-6, Elem::f32)));
  c.set(c.activated(c.net.binary("Div", x, length), c.options.i8(0)));
}

void lrn(LiteCall& c) {
  const FlatTable& o = c.options;
  c.set(c.net.lrn(c[0], o.i32(0), static_cast<double>(o.f32(1)), static_cast<double>(o.f32(2)),
                  static_cast<double>(o.f32(3))));
}

/// Select of rows by a vector, or of elements.
void select(LiteCall& c) {
  const NhwcValue a = c[1], b = c[2];
  c.set(c.net.plain("Where", {c[0], a, b}, {}, a->type, static_cast<int>(c.result().shape.size())));
}

void quantise(LiteCall& c) { c.set(c[0]); }
void dequantise(LiteCall& c) { c.set(c.net.cast(c[0], c.result().elem())); }
void cast(LiteCall& c) { c.set_raw(c.net.cast(c.raw(0), c.result().elem())); }

// ---- sums

template <char const* op>
void reduce(LiteCall& c) {
  c.set(c.net.reduce(op, c[0], c.raw(1), c.options.flag(0)));
}
/// TFLite has two ways: a quick one for the mean of a picture, which leaves the zero point in.
void mean(LiteCall& c) {
  const Numbers& shape = c.tensor(0).shape;
  const auto rank = std::ssize(shape);
  int64_t count = 1;
  Numbers axes = c.integers(1, "axes");
  for (int64_t& axis : axes) {
    axis += axis < 0 ? rank : 0;
    const int64_t size = axis >= 0 && axis < rank ? shape[static_cast<size_t>(axis)] : -1;
    count = size > 0 && size < 1 << 15 && count > 0 && count < 1 << 15 ? count * size : -1;
  }
  const bool keep = c.options.flag(0);
  if (!c.in_bytes({0}) || count <= 0) return reduce<kReduceMean>(c);
  std::sort(axes.begin(), axes.end());
  if (keep && rank == 4 && axes == Numbers{1, 2}) {
    const NhwcValue sum =
        c.net.reduce("ReduceSum", c.net.cast(c.raw(0), Elem::f32), c.raw(1), keep);
    const NhwcValue steps =
        c.rounded(sum, {FixedPoint(ratio(c, 0) / static_cast<double>(count))}, Halves::up);
    const double zero = std::round(static_cast<double>(c.tensor(0).zeros[0]) * ratio(c, 0));
    return c.set_rounded(c.net.binary("Sub", steps, c.net.number(zero, steps->type)));
  }
  const NhwcValue sum = c.net.reduce("ReduceSum", c.units(0), c.raw(1), keep);
  c.set_rounded(c.rounded(sum, {FixedPoint(ratio(c, 0)).over(count)}));
}
template <char const* op>
void logic(LiteCall& c) {
  const NhwcValue numbers = c.net.cast(c[0], Elem::i32);
  c.set(c.net.cast(c.net.reduce(op, numbers, c.raw(1), c.options.flag(0)), Elem::boolean));
}
template <bool max>
void arg(LiteCall& c) {
  c.set_raw(
      c.net.arg(max ? "ArgMax" : "ArgMin", c.raw(0), c.integer(1, "an axis"), c.result().elem()));
}
void cumulative(LiteCall& c) {
  const NhwcValue x = c[0];
  c.set(c.net.plain(
      "CumSum", {x, c.raw(1)},
      {{"exclusive", int64_t{c.options.flag(0)}}, {"reverse", int64_t{c.options.flag(1)}}}, x->type,
      x->rank));
}
void top_k(LiteCall& c) {
  const NhwcValue k = c.net.reshape(c.net.cast(c.raw(1), Elem::i64), c.net.integers({1}));
  const Values both = c.net.top_k(c[0], k);
  c.set(both[0], 0);
  c.set_raw(c.net.cast(both[1], Elem::i32), 1);
}

// ---- what moves values

/// Runs f on the integers if all have one scale, else on the numbers.
template <typename F>
void moved(LiteCall& c, size_t input, F f) {
  const bool integers = c.moves_integers(input);
  const Values y = f(integers ? c.raw(input) : c[input]);
  for (size_t k = 0; k < y.size(); ++k) {
    if (integers)
      c.set_raw(y[k], k);
    else
      c.set(y[k], k);
  }
}

void reshape(LiteCall& c) {
  const NhwcValue shape = c.has(1) ? c.raw(1) : c.net.integers(c.options.integers(0));
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.reshape(x, shape)}; });
}
void squeeze(LiteCall& c) {
  const Numbers axes = c.options.integers(0);
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.squeeze(x, axes)}; });
}
void expand_dims(LiteCall& c) {
  const Numbers axes = c.integers(1, "an axis");
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.unsqueeze(x, axes)}; });
}
void transpose(LiteCall& c) {
  const Numbers order = c.integers(1, "an order");
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.transpose(x, order)}; });
}
void slice(LiteCall& c) {
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.slice(x, c.raw(1), c.raw(2))}; });
}
void strided_slice(LiteCall& c) {
  const FlatTable& o = c.options;
  if (o.flag(5)) throw NoTranslation{"ends that count from the begins"};
  const SliceMasks masks{o.i32(0), o.i32(1), o.i32(2), o.i32(3), o.i32(4)};
  for (size_t i = 1; i <= 3; ++i)
    if (!c.has(i)) fail(Error::Kind::data, {"has only ", c.count(), " inputs"});
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {c.net.strided_slice(x, c.raw(1), c.raw(2), c.raw(3), masks)};
  });
}
void gather(LiteCall& c) {
  if (c.options.i32(1)) throw NoTranslation{"batch_dims"};
  const NhwcValue at = c[1];
  moved(c, 0,
        [&](const NhwcValue& x) -> Values { return {c.net.gather(x, at, c.options.i32(0))}; });
}
void embedding_lookup(LiteCall& c) {
  const NhwcValue at = c[0];
  c.set(c.net.gather(c[1], at, 0));
}
void gather_nd(LiteCall& c) {
  const NhwcValue at = c.net.cast(c[1], Elem::i64);
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {
        c.net.plain("GatherND", {x, at}, {}, x->type, static_cast<int>(c.result().shape.size()))};
  });
}
void tile(LiteCall& c) {
  const NhwcValue times = c.net.cast(c[1], Elem::i64);
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {c.net.plain("Tile", {x, times}, {}, x->type, x->rank)};
  });
}
void broadcast_to(LiteCall& c) {
  const NhwcValue shape = c[1];
  moved(c, 0, [&](const NhwcValue& x) -> Values { return {c.net.expand(x, shape)}; });
}
void split(LiteCall& c) {
  const int64_t axis = c.integer(0, "an axis");
  moved(c, 1, [&](const NhwcValue& x) -> Values {
    return c.net.split(x, axis, static_cast<int64_t>(c.results()), nullptr);
  });
}
void split_v(LiteCall& c) {
  const int64_t axis = c.integer(2, "an axis");
  const NhwcValue sizes = c[1];
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return c.net.split(x, axis, static_cast<int64_t>(c.results()), sizes);
  });
}
void unpack(LiteCall& c) {
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return c.net.unpack(x, c.options.i32(1), static_cast<int64_t>(c.results()));
  });
}
void depth_to_space(LiteCall& c) {
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {c.net.depth_to_space(x, c.options.i32(0), false, true)};
  });
}
void space_to_depth(LiteCall& c) {
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {c.net.depth_to_space(x, c.options.i32(0), true, true)};
  });
}
void space_to_batch(LiteCall& c) {
  c.set(c.net.space_to_batch(c[0], c.integers(1, "blocks"), c.integers(2, "padding")));
}
void batch_to_space(LiteCall& c) {
  c.set(c.net.batch_to_space(c[0], c.integers(1, "blocks"), c.integers(2, "crops")));
}

void concat(LiteCall& c) {
  c.set(c.activated(c.net.concat(c.all(), c.options.i32(0)), c.options.i8(1)));
}
void pack(LiteCall& c) { c.set(c.net.pack(c.all(), c.options.i32(1))); }
void pad(LiteCall& c) { c.set(c.net.pad(c[0], c[1], "constant", optional(c, 2))); }
void mirror_pad(LiteCall& c) {
  if (c.options.i8(0)) throw NoTranslation{"symmetric padding"};
  c.set(c.net.pad(c[0], c[1], "reflect", nullptr));
}

void resize_bilinear(LiteCall& c) {
  const NhwcValue size = c.raw(1);
  averaged(c, 0, [&](const NhwcValue& x) {
    return c.net.resize(x, size, false, c.options.flag(2), c.options.flag(3));
  });
}
void resize_nearest(LiteCall& c) {
  const NhwcValue size = c.raw(1);
  moved(c, 0, [&](const NhwcValue& x) -> Values {
    return {c.net.resize(x, size, true, c.options.flag(0), c.options.flag(1))};
  });
}

// ---- shapes and numbers

void shape_of(LiteCall& c) { c.set_raw(c.net.shape_of(c.raw(0), c.result().elem())); }
void rank_of(LiteCall& c) {
  c.set_raw(c.net.number(static_cast<double>(c.tensor(0).shape.size()), Elem::i32));
}
void fill(LiteCall& c) {
  const NhwcValue value = c[1];
  c.set(c.net.expand(value, c[0]));
}
void zeros_like(LiteCall& c) {
  const NhwcValue x = c[0];
  NhwcValue y = c.net.expand(c.net.number(0, x->type), c.net.shape_of(x, Elem::i64));
  y->rank = x->rank;
  c.set(y);
}
void range(LiteCall& c) {
  const NhwcValue from = c[0];
  c.set(c.net.plain("Range", {from, c[1], c[2]}, {}, from->type, 1));
}
void one_hot(LiteCall& c) { c.set(c.net.one_hot(c[0], c[1], c[2], c[3], c.options.i32(0))); }
void where_true(LiteCall& c) {
  c.set(c.net.transpose(c.net.plain("NonZero", {c[0]}, {}, Elem::i64, 2), {1, 0}));
}

struct Entry {
  int64_t code;
  const char* name;
  LiteTranslation translation;  ///< null for those that are known by name only
};

constexpr Entry kEntries[] = {
    {0, "ADD", arithmetic<kAdd>},
    {1, "AVERAGE_POOL_2D", average_pool},
    {2, "CONCATENATION", concat},
    {3, "CONV_2D", conv},
    {4, "DEPTHWISE_CONV_2D", depthwise},
    {5, "DEPTH_TO_SPACE", depth_to_space},
    {6, "DEQUANTIZE", dequantise},
    {7, "EMBEDDING_LOOKUP", embedding_lookup},
    {8, "FLOOR", unary<kFloor>},
    {9, "FULLY_CONNECTED", fully_connected},
    {10, "HASHTABLE_LOOKUP", nullptr},
    {11, "L2_NORMALIZATION", l2_normalize},
    {12, "L2_POOL_2D", nullptr},
    {13, "LOCAL_RESPONSE_NORMALIZATION", lrn},
    {14, "LOGISTIC", unary<kSigmoid>},
    {16, "LSTM", nullptr},
    {17, "MAX_POOL_2D", max_pool},
    {18, "MUL", multiply},
    {19, "RELU", unary<kRelu>},
    {20, "RELU_N1_TO_1", clip<-1, 1>},
    {21, "RELU6", clip<0, 6>},
    {22, "RESHAPE", reshape},
    {23, "RESIZE_BILINEAR", resize_bilinear},
    {24, "RNN", nullptr},
    {25, "SOFTMAX", softmax},
    {26, "SPACE_TO_DEPTH", space_to_depth},
    {27, "SVDF", nullptr},
    {28, "TANH", unary<kTanh>},
    {31, "CALL", nullptr},
    {32, "CUSTOM", nullptr},
    {34, "PAD", pad},
    {35, "UNIDIRECTIONAL_SEQUENCE_RNN", nullptr},
    {36, "GATHER", gather},
    {37, "BATCH_TO_SPACE_ND", batch_to_space},
    {38, "SPACE_TO_BATCH_ND", space_to_batch},
    {39, "TRANSPOSE", transpose},
    {40, "MEAN", mean},
    {41, "SUB", arithmetic<kSub>},
    {42, "DIV", arithmetic<kDiv>},
    {43, "SQUEEZE", squeeze},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", nullptr},
    {45, "STRIDED_SLICE", strided_slice},
    {47, "EXP", unary<kExp>},
    {48, "TOPK_V2", top_k},
    {49, "SPLIT", split},
    {50, "LOG_SOFTMAX", log_softmax},
    {51, "DELEGATE", nullptr},
    {52, "BIDIRECTIONAL_SEQUENCE_LSTM", nullptr},
    {53, "CAST", cast},
    {54, "PRELU", prelu},
    {55, "MAXIMUM", binary<kMax>},
    {56, "ARG_MAX", arg<true>},
    {57, "MINIMUM", binary<kMin>},
    {58, "LESS", binary<kLess>},
    {59, "NEG", unary<kNeg>},
    {60, "PADV2", pad},
    {61, "GREATER", binary<kGreater>},
    {62, "GREATER_EQUAL", binary<kGreaterEqual>},
    {63, "LESS_EQUAL", binary<kLessEqual>},
    {64, "SELECT", select},
    {65, "SLICE", slice},
    {66, "SIN", unary<kSin>},
    {67, "TRANSPOSE_CONV", conv_transpose},
    {68, "SPARSE_TO_DENSE", nullptr},
    {69, "TILE", tile},
    {70, "EXPAND_DIMS", expand_dims},
    {71, "EQUAL", binary<kEqual>},
    {72, "NOT_EQUAL", not_equal},
    {73, "LOG", unary<kLog>},
    {74, "SUM", reduce<kReduceSum>},
    {75, "SQRT", unary<kSqrt>},
    {76, "RSQRT", rsqrt},
    {77, "SHAPE", shape_of},
    {78, "POW", binary<kPow>},
    {79, "ARG_MIN", arg<false>},
    {80, "FAKE_QUANT", nullptr},
    {81, "REDUCE_PROD", reduce<kReduceProd>},
    {82, "REDUCE_MAX", reduce<kReduceMax>},
    {83, "PACK", pack},
    {84, "LOGICAL_OR", binary<kOr>},
    {85, "ONE_HOT", one_hot},
    {86, "LOGICAL_AND", binary<kAnd>},
    {87, "LOGICAL_NOT", unary<kNot>},
    {88, "UNPACK", unpack},
    {89, "REDUCE_MIN", reduce<kReduceMin>},
    {90, "FLOOR_DIV", floor_div},
    {91, "REDUCE_ANY", logic<kReduceMax>},
    {92, "SQUARE", square},
    {93, "ZEROS_LIKE", zeros_like},
    {94, "FILL", fill},
    {95, "FLOOR_MOD", floor_mod},
    {96, "RANGE", range},
    {97, "RESIZE_NEAREST_NEIGHBOR", resize_nearest},
    {98, "LEAKY_RELU", leaky_relu},
    {99, "SQUARED_DIFFERENCE", squared_difference},
    {100, "MIRROR_PAD", mirror_pad},
    {101, "ABS", unary<kAbs>},
    {102, "SPLIT_V", split_v},
    {103, "UNIQUE", nullptr},
    {104, "CEIL", unary<kCeil>},
    {105, "REVERSE_V2", nullptr},
    {106, "ADD_N", add_all},
    {107, "GATHER_ND", gather_nd},
    {108, "COS", unary<kCos>},
    {109, "WHERE", where_true},
    {110, "RANK", rank_of},
    {111, "ELU", unary<kElu>},
    {114, "QUANTIZE", quantise},
    {116, "ROUND", unary<kRound>},
    {117, "HARD_SWISH", hard_swish},
    {118, "IF", nullptr},
    {119, "WHILE", nullptr},
    {120, "NON_MAX_SUPPRESSION_V4", nullptr},
    {121, "NON_MAX_SUPPRESSION_V5", nullptr},
    {122, "SCATTER_ND", nullptr},
    {123, "SELECT_V2", select},
    {124, "DENSIFY", nullptr},
    {126, "BATCH_MATMUL", matmul},
    {128, "CUMSUM", cumulative},
    {129, "CALL_ONCE", nullptr},
    {130, "BROADCAST_TO", broadcast_to},
    {132, "CONV_3D", nullptr},
    {140, "REDUCE_ALL", logic<kReduceMin>},
    {142, "VAR_HANDLE", nullptr},
    {143, "READ_VARIABLE", nullptr},
    {144, "ASSIGN_VARIABLE", nullptr},
    {145, "BROADCAST_ARGS", nullptr},
    {150, "GELU", gelu},
    {151, "DYNAMIC_UPDATE_SLICE", nullptr},
    {152, "RELU_0_TO_1", clip<0, 1>},
    {158, "SIGN", unary<kSign>},
};

const Entry* entry_of(int64_t code) {
  for (const Entry& e : kEntries)
    if (e.code == code) return &e;
  return nullptr;
}

}  // namespace

LiteTranslation find_lite_operator(int64_t code) {
  const Entry* e = entry_of(code);
  return e ? e->translation : nullptr;
}

std::string name_of_lite_operator(int64_t code) {
  const Entry* e = entry_of(code);
  return e ? e->name : cat({"operator ", code});
}

}  // namespace nacre
