// Shapes, and what moves elements without computing.
#include "onnx/call.h"
#include "onnx/cast.h"
#include "onnx/tensor_data.h"

namespace nacre::onnx {
namespace {

/// The shape that Reshape asks for: 0 takes the input's size, -1 what is left.
Shape requested(const Call& c, const Shape& in, const Ints& want, bool allow_zero) {
  Shape out;
  int64_t known = 1, free = -1;
  for (int64_t d = 0; d < want.rank(); ++d) {
    int64_t n = want[d];
    if (n == 0 && !allow_zero) {
      c.check(d < in.rank(), {"size 0 of dimension ", d, " has none in ", in, " to take"});
      n = in[d];
    }
    c.check(n >= -1 && (n >= 0 || free < 0), {"cannot reshape to ", as_list(want)});
    if (n < 0) free = d;
    out.push_back(n);
    c.check(n < 0 || !__builtin_mul_overflow(known, n, &known),
            {"cannot reshape to ", as_list(want)});
  }
  if (free >= 0) {
    c.check(known > 0 && in.numel() % known == 0, {"cannot reshape ", in, " to ", as_list(want)});
    out[free] = in.numel() / known;
  }
  return out;
}

Values squeeze_axes(Call& c) {
  Ints axes = ints_of(c, "axes", 1);
  const Shape& in = c.shape(0);
  for (int64_t& a : axes) a = c.axis(a, in.rank());
  Shape out;
  for (int64_t d = 0; d < in.rank(); ++d) {
    const bool named = std::count(axes.begin(), axes.end(), d) > 0;
    c.check(!named || in[d] == 1, {"dimension ", d, " of ", in, " is not 1"});
    if (!(axes.empty() ? in[d] == 1 : named)) out.push_back(in[d]);
  }
  return {moved(c.in[0], [&](const Tensor& x) { return reshape(x, out); })};
}

Values unsqueeze_axes(Call& c) {
  Ints axes = ints_of(c, "axes", 1);
  const Shape& in = c.shape(0);
  const int64_t rank = in.rank() + axes.rank();
  Shape out(static_cast<size_t>(rank), -1);
  for (int64_t a : axes) {
    a = c.axis(a, rank);
    c.check(out[a] < 0, {"axis ", a, " stands twice in ", as_list(axes)});
    out[a] = 1;
  }
  int64_t d = 0;
  for (int64_t& n : out)
    if (n < 0) n = in[d++];
  return {moved(c.in[0], [&](const Tensor& x) { return reshape(x, out); })};
}

Values split_parts(Call& c) {
  const Shape& in = c.shape(0);
  const int64_t axis = c.axis(c.i("axis"), in.rank()), size = in[axis];
  Ints sizes = ints_of(c, "split", 1);
  const int64_t parts = c.i("num_outputs", static_cast<int64_t>(c.outputs()));
  if (sizes.empty()) {
    c.check(parts > 0 && parts <= 1 << 20, {"splits into ", parts, " parts"});
    const int64_t each = (size + parts - 1) / parts;
    for (int64_t k = 0; k < parts; ++k)
      sizes.push_back(std::max<int64_t>(0, std::min(each, size - k * each)));
  }
  int64_t sum = 0;
  for (int64_t n : sizes) {
    c.check(n >= 0, {"cannot split into parts of ", as_list(sizes)});
    sum += n;
  }
  c.check(sum == size, {"parts of ", as_list(sizes), " do not add up to ", size});
  Values out;
  int64_t at = 0;
  for (int64_t n : sizes) {
    out.push_back(moved(c.in[0], [&](const Tensor& x) { return slice(x, axis, at, at + n); }));
    at += n;
  }
  return out;
}

Values slice_axes(Call& c) {
  const bool inputs = c.opset >= 10;
  const Ints starts = inputs ? c.ints(1) : c.is("starts"), ends = inputs ? c.ints(2) : c.is("ends");
  Ints axes = ints_of(c, "axes", 3), steps = c.has(4) ? c.ints(4) : Ints();
  if (axes.empty())
    for (int64_t d = 0; d < starts.rank(); ++d) axes.push_back(d);
  if (steps.empty()) steps = Ints(starts.size(), 1);
  c.check(
      starts.size() == ends.size() && axes.size() == starts.size() && steps.size() == starts.size(),
      {"starts, ends, axes and steps have ", starts.rank(), ", ", ends.rank(), ", ", axes.rank(),
       " and ", steps.rank(), " entries"});
  return {moved(c.value(0), [&](Tensor x) {
    for (int64_t k = 0; k < starts.rank(); ++k) {
      const int64_t axis = c.axis(axes[k], x.rank()), size = x.size(axis);
      int64_t step = steps[k], from = starts[k], to = ends[k];
      c.check(step != 0, {"a step is 0"});
      const auto clamped = [&](int64_t v, int64_t low, int64_t high) {
        return std::clamp(v < 0 ? std::max(v, -size - 1) + size : v, low, high);
      };
      if (step > 0) {
        from = clamped(from, 0, size);
        to = clamped(to, 0, size);
        x = slice(x, axis, from, std::max(from, to), std::min(step, std::max<int64_t>(size, 1)));
        continue;
      }
      from = clamped(from, -1, size - 1);
      to = to < -size ? -1 : clamped(to, -1, size - 1);
      // Backwards: the entries from to + 1 up to `from`, reversed, each -step apart.
      x = flip(slice(x, axis, to + 1, std::max(from, to) + 1), {axis});
      if (step < -1)
        x = slice(x, axis, 0, INT64_MAX,
                  std::min(-std::max(step, -INT64_MAX), std::max<int64_t>(size, 1)));
    }
    return x;
  })};
}

Values pad_axes(Call& c) {
  const Tensor& x = c[0];
  const int64_t rank = x.rank();
  const Ints pads = c.given("paddings") ? c.is("paddings") : ints_of(c, "pads", 1);
  Ints axes = c.has(3) ? c.ints(3) : Ints();
  if (axes.empty() && !c.has(3))
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  c.check(pads.size() == 2 * axes.size(),
          {"pads ", as_list(pads), " do not fit ", axes.rank(), " dimensions"});
  Ints low(static_cast<size_t>(rank), 0), high = low;
  for (int64_t k = 0; k < axes.rank(); ++k) {
    low[c.axis(axes[k], rank)] = pads[k];
    high[c.axis(axes[k], rank)] = pads[k + axes.rank()];
  }
  std::string mode = c.s("mode", "constant");
  if (mode == "edge") mode = "replicate";
  if (mode == "wrap") mode = "circular";
  const bool filled = c.has(2);
  if (mode != "constant") return {Value(pad(x, low, high, mode), c.in[0].elem())};
  const Tensor value = filled ? reshape(c[2], Shape{}) : Tensor::scalar(c.f("value"), x.dtype());
  return {Value(pad(x, low, high, mode, value), c.in[0].elem())};
}

Values depth_to_space(Call& c) {
  const Shape& s = c.shape(0);
  const int64_t b = c.i("blocksize");
  c.check(s.rank() == 4 && b > 0 && b < 1 << 20 && s[1] % (b * b) == 0,
          {"blocks of ", b, " do not fit ", s});
  const int64_t depth = s[1] / (b * b);
  if (c.s("mode", "DCR") == "CRD") return {Value(pixel_shuffle(c[0], b), c.in[0].elem())};
  const Tensor y = permute(reshape(c[0], {s[0], b, b, depth, s[2], s[3]}), {0, 3, 4, 1, 5, 2});
  return {Value(reshape(y, {s[0], depth, s[2] * b, s[3] * b}), c.in[0].elem())};
}

Values space_to_depth(Call& c) {
  const Shape& s = c.shape(0);
  const int64_t b = c.i("blocksize");
  c.check(s.rank() == 4 && b > 0 && s[2] % b == 0 && s[3] % b == 0,
          {"blocks of ", b, " do not fit ", s});
  const std::string mode = c.opset >= 28 ? c.s("mode", "DCR") : "DCR";
  c.check(mode == "DCR" || mode == "CRD", {"mode '", mode, "' is neither DCR nor CRD"});
  const Tensor apart = reshape(c[0], {s[0], s[1], s[2] / b, b, s[3] / b, b});
  const Tensor y = permute(apart, mode == "DCR" ? Ints{0, 3, 5, 1, 2, 4} : Ints{0, 1, 3, 5, 2, 4});
  return {Value(reshape(y, {s[0], s[1] * b * b, s[2] / b, s[3] / b}), c.in[0].elem())};
}

Values constant(Call& c) {
  for (const char* name : {"value", "sparse_value"})
    if (const AttributeProto* a = c.find(name)) {
      c.check(a->values.size() == 1, {"attribute '", name, "' is not a tensor"});
      return {a->values[0]};
    }
  if (c.given("value_float")) return {Tensor::scalar(c.f("value_float"), DType::f32)};
  if (c.given("value_int")) return {scalar_of(c.i("value_int"))};
  if (c.given("value_string")) return {Value::strings({}, {c.s("value_string")})};
  if (c.given("value_floats")) {
    const std::vector<float>& v = c.find("value_floats")->floats;
    return {Tensor::from(v, {static_cast<int64_t>(v.size())})};
  }
  if (c.given("value_ints")) return {vector_of(c.is("value_ints"))};
  if (c.given("value_strings")) {
    const auto v = c.ss("value_strings");
    return {Value::strings({static_cast<int64_t>(v.size())}, v)};
  }
  c.fail({"has no value"});
}

/// Of casts to float8e8m0.
std::string round_mode(const Call& c) {
  const std::string mode = c.s("round_mode", "up");
  c.check(mode == "up" || mode == "down" || mode == "nearest",
          {"round_mode '", mode, "' is neither up, down nor nearest"});
  return mode;
}

Value concat_values(const Call& c, const Values& in, int64_t axis) {
  c.check(!in.empty(), {"joins nothing"});
  Tensors parts;
  std::vector<std::string> all;
  for (const Value& v : in) {
    if (v.is_strings()) {
      parts.push_back(
          reshape(arange(v.shape().numel()) + static_cast<int64_t>(all.size()), v.shape()));
      all.insert(all.end(), v.text().begin(), v.text().end());
    } else {
      parts.push_back(v.tensor());
    }
  }
  const Tensor y = concat(parts, c.axis(axis, parts[0].rank()));
  if (all.empty()) return {y, in[0].elem()};
  std::vector<std::string> text;
  for (int64_t k : y.to_vector<int64_t>()) text.push_back(all[static_cast<size_t>(k)]);
  return Value::strings(y.shape(), text);
}

}  // namespace

ONNX(Reshape) = {"Reshape", [](Call& c) -> Values {
                   const Shape out =
                       requested(c, c.shape(0), ints_of(c, "shape", 1), c.i("allowzero") != 0);
                   return {moved(c.in[0], [&](const Tensor& x) { return reshape(x, out); })};
                 }};
ONNX(Transpose) = {"Transpose", [](Call& c) -> Values {
                     Ints perm = c.is("perm");
                     if (!c.given("perm"))
                       for (int64_t d = c.rank(0); d-- > 0;) perm.push_back(d);
                     return {moved(c.in[0], [&](const Tensor& x) { return permute(x, perm); })};
                   }};
ONNX(Squeeze) = {"Squeeze", squeeze_axes};
ONNX(Unsqueeze) = {"Unsqueeze", unsqueeze_axes};
ONNX(Flatten) = {
    "Flatten", [](Call& c) -> Values {
      const Shape& s = c.shape(0);
      const int64_t a = c.i("axis", 1), axis = a == s.rank() ? a : c.axis(a, s.rank());
      const int64_t rows = s.slice(0, axis).numel(), columns = s.slice(axis, s.rank()).numel();
      return {moved(c.in[0], [&](const Tensor& x) { return reshape(x, {rows, columns}); })};
    }};
ONNX(Concat) = {"Concat",
                [](Call& c) -> Values { return {concat_values(c, c.in.all(), c.i("axis", 1))}; }};
ONNX(ConcatFromSequence) = {"ConcatFromSequence", [](Call& c) -> Values {
                              Values items = c.value(0).items();
                              if (!c.i("new_axis")) return {concat_values(c, items, c.i("axis"))};
                              c.check(!items.empty(), {"joins nothing"});
                              const int64_t axis = c.axis(c.i("axis"), items[0].shape().rank() + 1);
                              for (Value& v : items)
                                v = moved(v, [&](const Tensor& x) { return unsqueeze(x, axis); });
                              return {concat_values(c, items, axis)};
                            }};
ONNX(Split) = {"Split", split_parts};
ONNX(Slice) = {"Slice", slice_axes};
ONNX(Pad) = {"Pad", pad_axes, "", "2"};
ONNX(DepthToSpace) = {"DepthToSpace", depth_to_space};
ONNX(SpaceToDepth) = {"SpaceToDepth", space_to_depth};
ONNX(Constant) = {"Constant", constant};

ONNX(Tile) = {"Tile", [](Call& c) -> Values {
                Ints repeats = c.has(2) ? Ints(c.shape(0).size(), 1) : c.ints(1);
                if (c.has(2)) repeats[c.axis(c.integer(2), c.rank(0))] = c.integer(1);  // opset 1
                return {moved(c.in[0], [&](const Tensor& x) { return tile(x, repeats); })};
              }};
ONNX(Expand) = {"Expand", [](Call& c) -> Values {
                  const Shape out = broadcast_shapes(c.shape(0), c.ints(1));
                  return {moved(c.in[0], [&](const Tensor& x) { return expand(x, out); })};
                }};
ONNX(Identity) = {"Identity", [](Call& c) -> Values { return {c.value(0)}; }};
ONNX(Shape) = {"Shape", [](Call& c) -> Values {
                 const Shape& s = c.shape(0);
                 const auto clamped = [&](int64_t v) {
                   return std::clamp(v < 0 ? v + s.rank() : v, int64_t{0}, s.rank());
                 };
                 const int64_t from = clamped(c.i("start")), to = clamped(c.i("end", s.rank()));
                 return {vector_of(s.slice(from, std::max(from, to)))};
               }};
ONNX(Size) = {"Size", [](Call& c) -> Values { return {scalar_of(c.shape(0).numel())}; }};
ONNX(ConstantOfShape) = {
    "ConstantOfShape", [](Call& c) -> Values {
      const Shape shape = c.ints(0);
      const AttributeProto* a = c.find("value");
      if (!a) return {zeros(shape)};
      c.check(a->values.size() == 1 && a->values[0].shape().numel() == 1,
              {"value is not one number"});
      const Value& v = a->values[0];
      return {Value(expand(reshape(v.tensor(), Shape(shape.size(), 1)), shape), v.elem())};
    }};
ONNX(Cast) = {
    "Cast", [](Call& c) -> Values {
      // Opsets before 6 name the type in words.
      const AttributeProto* to = c.find("to");
      c.check(to != nullptr, {"attribute 'to' is missing"});
      return {cast_value(c.value(0), to->type == 3 ? elem_named(to->s) : static_cast<Elem>(to->i),
                         c.i("saturate", 1) != 0, round_mode(c))};
    }};
ONNX(CastLike) = {
    "CastLike", [](Call& c) -> Values {
      return {cast_value(c.value(0), c.value(1).elem(), c.i("saturate", 1) != 0, round_mode(c))};
    }};
ONNX(BitCast) = {"BitCast", [](Call& c) -> Values {
                   return {bits_as(c.value(0), static_cast<Elem>(c.i("to")))};
                 }};
ONNX(Trilu) = {"Trilu", [](Call& c) -> Values {
                 const int64_t k = c.has(1) ? c.integer(1) : 0;
                 return {Value(c.i("upper", 1) ? triu(c[0], k) : tril(c[0], k), c.in[0].elem())};
               }};
ONNX(EyeLike) = {"EyeLike", [](Call& c) -> Values {
                   const Shape& s = c.shape(0);
                   c.check(s.rank() == 2, {"takes a matrix, not ", s});
                   const Elem e =
                       c.given("dtype") ? static_cast<Elem>(c.i("dtype")) : c.in[0].elem();
                   const Tensor row = reshape(arange(s[0]), {s[0], 1}) + c.i("k");
                   return {Value(cast(eq(row, arange(s[1])), storage_of(e)), e)};
                 }};
ONNX(Range) = {
    "Range", [](Call& c) -> Values {
      const DType t = c[0].dtype();
      if (!is_float(t)) {
        const int64_t from = c.integer(0), to = c.integer(1), step = c.integer(2);
        c.check(step != 0, {"a step of 0"});
        const double n = std::ceil((static_cast<double>(to) - static_cast<double>(from)) /
                                   static_cast<double>(step));
        c.check(n < 0x1p40, {"makes ", n, " numbers"});
        check_fits({static_cast<int64_t>(std::max(n, 0.0))}, DType::i64);
        return {like(c.in[0], arange(static_cast<int64_t>(std::max(n, 0.0))) * step + from)};
      }
      const double from = c.real(0), to = c.real(1), step = c.real(2),
                   n = std::ceil((to - from) / step);
      c.check(step != 0 && n < 0x1p40, {"makes ", n, " numbers"});
      check_fits({static_cast<int64_t>(std::max(n, 0.0))}, DType::i64);
      const Tensor k = arange(static_cast<int64_t>(std::max(n, 0.0)));
      return {cast(cast(k, DType::f64) * step + from, t)};
    }};

}  // namespace nacre::onnx
