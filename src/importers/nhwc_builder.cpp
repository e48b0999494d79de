#include "importers/nhwc_builder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <type_traits>

#include "nacre/error.h"

namespace nacre {
namespace {

using Numbers = NhwcBuilder::Ints;

constexpr int64_t kMostKnown = 1 << 16;

/// Row-major bytes with the dimensions in another order.
std::string permuted(std::string_view bytes, const Numbers& shape, const Numbers& order,
                     size_t width) {
  if (bytes.empty()) return "";
  const size_t rank = shape.size();
  Numbers from(rank), size(rank), step(rank);
  int64_t below = static_cast<int64_t>(width);
  for (size_t d = rank; d-- > 0;) {
    from[d] = below;
    below *= shape[d];
  }
  for (size_t d = 0; d < rank; ++d) {
    size[d] = shape[static_cast<size_t>(order[d])];
    step[d] = from[static_cast<size_t>(order[d])];
  }
  std::string out(bytes.size(), '\0');
  Numbers at(rank, 0);
  int64_t source = 0;
  for (size_t k = 0; k < out.size(); k += width) {
    std::memcpy(out.data() + k, bytes.data() + source, width);
    for (size_t d = rank; d-- > 0;) {
      source += step[d];
      if (++at[d] < size[d]) break;
      source -= step[d] * size[d];
      at[d] = 0;
    }
  }
  return out;
}

template <typename T>
void append_as(std::string& bytes, auto v) {
  if constexpr (std::is_integral_v<T> && std::is_same_v<decltype(v), double>)
    v = std::clamp(v, std::max(-9e18, static_cast<double>(std::numeric_limits<T>::min())),
                   std::min(9e18, static_cast<double>(std::numeric_limits<T>::max())));
  const T t = static_cast<T>(v);
  bytes.append(reinterpret_cast<const char*>(&t), sizeof t);
}

void append(std::string& bytes, double v, Elem e) {
  switch (e) {
    case Elem::f32:
      return append_as<float>(bytes, v);
    case Elem::f64:
      return append_as<double>(bytes, v);
    case Elem::i8:
      return append_as<int8_t>(bytes, v);
    case Elem::u8:
    case Elem::boolean:
      return append_as<uint8_t>(bytes, v);
    case Elem::i16:
      return append_as<int16_t>(bytes, v);
    case Elem::i32:
      return append_as<int32_t>(bytes, v);
    case Elem::i64:
      return append_as<int64_t>(bytes, v);
    default:
      throw NoTranslation{cat({"numbers of ONNX type ", static_cast<int>(e)})};
  }
}

template <typename T>
Numbers integers_as(std::string_view bytes) {
  Numbers out(bytes.size() / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T v;
    std::memcpy(&v, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<int64_t>(v);
  }
  return out;
}

bool compares(std::string_view op) {
  return op == "Equal" || op == "Greater" || op == "GreaterOrEqual" || op == "Less" ||
         op == "LessOrEqual";
}

/// The rank of what operands of these ranks broadcast to.
int widest(int a, int b) { return a < 0 || b < 0 ? -1 : std::max(a, b); }
int64_t last_of(int64_t a, int64_t b) { return a == 1 ? b : b == 1 || a == b ? a : -1; }

}  // namespace

size_t width_of(Elem type) {
  switch (type) {
    case Elem::f64:
    case Elem::i64:
    case Elem::u64:
      return 8;
    case Elem::f32:
    case Elem::i32:
    case Elem::u32:
      return 4;
    case Elem::f16:
    case Elem::bf16:
    case Elem::i16:
    case Elem::u16:
      return 2;
    default:
      return 1;
  }
}

// ---- edges

NhwcValue NhwcBuilder::edge(std::string name, Elem type, int rank, bool first) {
  auto e = std::make_shared<NhwcEdge>();
  e->type = type;
  e->rank = rank;
  (first ? e->first : e->plain) = std::move(name);
  return e;
}

std::string NhwcBuilder::make(std::string_view op, const std::vector<std::string>& in,
                              const Attributes& a) {
  const std::string out = net_.fresh(op);
  add(op, in, {out}, a);
  return out;
}

void NhwcBuilder::add(std::string_view op, const std::vector<std::string>& in,
                      const std::vector<std::string>& out, const Attributes& a) {
  std::string name = label_;  // others read no file where two nodes have one name
  if (!nodes_.insert(name).second) nodes_.insert(name = cat({label_, "/", out[0]}));
  net_.node(op, in, out, a, name);
}

std::string NhwcBuilder::claim(std::string name) {
  if (name.empty()) name = net_.fresh("value");
  std::string free = name;
  for (int k = 1; !names_.insert(free).second; ++k) free = cat({name, "#", k});
  return free;
}

NhwcValue NhwcBuilder::input(const std::string& name, Elem type, const Numbers& shape,
                             bool has_shape) {
  const std::string free = claim(name);
  const auto number = static_cast<int64_t>(type);
  if (has_shape)
    net_.input(free, shape, number);
  else
    net_.input(free, number);
  NhwcValue v = edge(free, type, has_shape ? static_cast<int>(shape.size()) : -1);
  if (!shape.empty()) v->last = sane(shape.back());
  return v;
}

void NhwcBuilder::output(const std::string& name, const NhwcValue& v) {
  const std::string free = claim(name);
  add("Identity", {plain_name(v)}, {free});
  net_.output(free, v->rank, static_cast<int64_t>(v->type));
}

NhwcValue NhwcBuilder::constant(const std::string& name, ConstantData data) {
  NhwcValue v =
      edge("", data.scales.empty() ? data.type : Elem::f32, static_cast<int>(data.shape.size()));
  if (!data.shape.empty()) v->last = sane(data.shape.back());
  v->name = name;
  v->data = std::make_shared<const ConstantData>(std::move(data));
  return v;
}

NhwcValue NhwcBuilder::integers(const Numbers& values, Elem type) {
  auto bytes = std::make_shared<std::string>();
  for (const int64_t v : values) {
    if (type == Elem::i64)
      append_as<int64_t>(*bytes, v);
    else
      append(*bytes, static_cast<double>(v), type);
  }
  return constant("", {*bytes, {std::ssize(values)}, type, bytes, {}, {}, 0});
}

NhwcValue NhwcBuilder::number(double value, Elem type) {
  auto bytes = std::make_shared<std::string>();
  append(*bytes, value, type);
  return constant("", {*bytes, {}, type, bytes, {}, {}, 0});
}

bool NhwcBuilder::known(const NhwcValue& v, Numbers& out) {
  if (!v->data || !v->data->scales.empty()) return false;
  const std::string_view bytes = v->data->bytes;
  if (std::ssize(bytes) > kMostKnown * 8) return false;
  switch (v->type) {
    case Elem::boolean:
    case Elem::u8:
      out = integers_as<uint8_t>(bytes);
      return true;
    case Elem::i8:
      out = integers_as<int8_t>(bytes);
      return true;
    case Elem::i16:
      out = integers_as<int16_t>(bytes);
      return true;
    case Elem::i32:
      out = integers_as<int32_t>(bytes);
      return true;
    case Elem::i64:
      out = integers_as<int64_t>(bytes);
      return true;
    default:
      return false;
  }
}

const std::string& NhwcBuilder::turned(const NhwcValue& v, const Numbers& order,
                                       const Numbers& shape) {
  std::string key;
  for (const int64_t d : order) key += cat({d, ","});
  for (const int64_t d : shape) key += cat({"x", d});
  std::string& made = v->forms[key];
  if (!made.empty()) return made;
  const ConstantData& c = *v->data;
  if (c.bytes.size() > budget_)
    fail(Error::Kind::data, {"uses constants in more ways than is sensible"});
  budget_ -= c.bytes.size();
  const bool moves = !std::is_sorted(order.begin(), order.end());
  const std::string bytes =
      moves ? permuted(c.bytes, c.shape, order, width_of(c.type)) : std::string();
  const std::string name = claim(v->name);
  const std::string_view values = moves ? std::string_view(bytes) : c.bytes;
  const auto type = static_cast<int64_t>(c.type);
  if (c.scales.empty()) return made = net_.constant(values, shape, type, name);
  // The axis of the scales goes where its dimension goes; dimensions of one may come or go.
  const auto place = std::find(order.begin(), order.end(), c.axis) - order.begin();
  int64_t axis = place;
  if (shape.size() != order.size() && c.scales.size() > 1) {
    const auto at = std::find(shape.begin(), shape.end(), std::ssize(c.scales));
    if (at == shape.end()) throw NoTranslation{"scales that do not fit its shape"};
    axis = at - shape.begin();
  }
  const std::string stored = net_.constant(values, shape, type, claim(name + "/quantised"));
  const Numbers scale_shape = c.scales.size() == 1 ? Numbers{} : Numbers{std::ssize(c.scales)};
  std::string zeros;
  for (const int64_t z : c.zeros) append(zeros, static_cast<double>(z), c.type);
  net_.node(
      "DequantizeLinear",
      {stored, net_.floats(c.scales, scale_shape), net_.constant(zeros, scale_shape, type, "")},
      {name}, {{"axis", axis}});
  return made = name;
}

const std::string& NhwcBuilder::plain_name(const NhwcValue& v) {
  if (!v->plain.empty()) return v->plain;
  if (v->data) {
    Numbers order(v->data->shape.size());
    for (size_t d = 0; d < order.size(); ++d) order[d] = static_cast<int64_t>(d);
    return v->plain = turned(v, order, v->data->shape);
  }
  return v->plain = make("Transpose", {v->first}, {{"perm", Numbers{0, 2, 3, 1}}});
}

const std::string& NhwcBuilder::first_name(const NhwcValue& v) {
  if (!v->first.empty()) return v->first;
  if (v->rank != 4 && v->rank != -1) throw NoTranslation{"a picture that has not four dimensions"};
  return v->first = ordered(v, {0, 3, 1, 2});
}

std::string NhwcBuilder::ordered(const NhwcValue& v, const Numbers& order) {
  if (v->data && v->data->shape.size() == order.size()) {
    Numbers shape;
    for (const int64_t d : order) shape.push_back(v->data->shape[static_cast<size_t>(d)]);
    return turned(v, order, shape);
  }
  if (v->data) throw NoTranslation{"a constant of a wrong rank"};
  const std::string& x = plain_name(v);
  return std::is_sorted(order.begin(), order.end()) ? x : make("Transpose", {x}, {{"perm", order}});
}

std::string NhwcBuilder::index_name(const NhwcValue& v) {
  if (v->type == Elem::i64) return plain_name(v);
  if (Numbers values; known(v, values)) {
    const std::string flat = net_.ints(values);
    if (v->rank == 1) return flat;
    return make("Reshape", {flat, net_.ints(v->data->shape)});
  }
  return make("Cast", {plain_name(v)}, {{"to", static_cast<int64_t>(Elem::i64)}});
}

std::string NhwcBuilder::operand(const NhwcValue& v, bool first) {
  if (!first || v->rank == 0) return plain_name(v);
  if (v->rank == 4) return first_name(v);
  if (v->data && v->data->shape[0] != 0) return turned(v, {0}, {v->data->shape[0], 1, 1});
  return make("Reshape", {plain_name(v), net_.ints({-1, 1, 1})});
}

// ---- element by element

NhwcValue NhwcBuilder::unary(std::string_view op, const NhwcValue& x, const Attributes& a) {
  const bool first = is_first(x);
  NhwcValue y = edge(make(op, {name_in(x, first)}, a), x->type, x->rank, first);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::binary(std::string_view op, const NhwcValue& a, const NhwcValue& b) {
  const auto fits = [](const NhwcValue& v) { return v->rank == 4 || v->rank == 1 || v->rank == 0; };
  // [1, 1, c] means the same as [c] beside a picture.
  const auto flat = [&](const NhwcValue& v) {
    if (!v->data || v->rank < 2 || v->rank > 3) return v;
    const Numbers& s = v->data->shape;
    if (std::any_of(s.begin(), s.end() - 1, [](int64_t d) { return d != 1; })) return v;
    const NhwcValue vector = reshaped(v, {-1});
    return vector ? vector : v;
  };
  const bool picture = is_first(a) || is_first(b);
  const NhwcValue left = picture ? flat(a) : a, right = picture ? flat(b) : b;
  const bool first = picture && fits(left) && fits(right);
  NhwcValue y = edge(make(op, {operand(left, first), operand(right, first)}),
                     compares(op) ? Elem::boolean : a->type, widest(a->rank, b->rank), first);
  y->last = a->rank == 0 ? b->last : b->rank == 0 ? a->last : last_of(a->last, b->last);
  return y;
}

NhwcValue NhwcBuilder::plain(std::string_view op, const Values& in, const Attributes& a, Elem type,
                             int rank) {
  std::vector<std::string> names;
  for (const NhwcValue& v : in) names.push_back(plain_name(v));
  return edge(make(op, names, a), type, rank);
}

NhwcValue NhwcBuilder::clip(const NhwcValue& x, double low, double high) {
  const bool first = is_first(x);
  NhwcValue y = edge(make("Clip", {name_in(x, first), plain_name(number(low, x->type)),
                                   plain_name(number(high, x->type))}),
                     x->type, x->rank, first);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::cast(const NhwcValue& x, Elem type) {
  if (x->type == type) return x;
  if (Numbers values; x->rank == 1 && known(x, values) && (type == Elem::i64 || type == Elem::i32))
    return integers(values, type);
  NhwcValue y = unary("Cast", x, {{"to", static_cast<int64_t>(type)}});
  y->type = type;
  y->parts = x->parts;
  return y;
}

NhwcValue NhwcBuilder::rescale(const NhwcValue& x, float scale, int64_t zero, Elem to) {
  const bool back = to == Elem::f32, first = is_first(x);
  const Elem stored = back ? x->type : to;
  NhwcValue y = edge(make(back ? "DequantizeLinear" : "QuantizeLinear",
                          {name_in(x, first), net_.scalar(scale),
                           plain_name(number(static_cast<double>(zero), stored))}),
                     to, x->rank, first);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::floor_div(const NhwcValue& a, const NhwcValue& b) {
  if (a->type == Elem::f32 || a->type == Elem::f64 || a->type == Elem::f16)
    return unary("Floor", binary("Div", a, b));
  return binary("Div", binary("Sub", a, floor_mod(a, b)), b);  // divides without a rest
}

NhwcValue NhwcBuilder::floor_mod(const NhwcValue& a, const NhwcValue& b) {
  if (a->type == Elem::f32 || a->type == Elem::f64 || a->type == Elem::f16)
    return binary("Sub", a, binary("Mul", unary("Floor", binary("Div", a, b)), b));
  return binary("Mod", a, b);
}

// ---- products and sums

NhwcValue NhwcBuilder::matmul(const NhwcValue& a, const NhwcValue& b, bool turn_a, bool turn_b) {
  const int rank = widest(a->rank, b->rank);
  const auto side = [&](const NhwcValue& v, bool turn) {
    if (!turn) return plain_name(v);
    Numbers order(static_cast<size_t>(v->rank));
    for (size_t d = 0; d < order.size(); ++d) order[d] = static_cast<int64_t>(d);
    std::swap(order[order.size() - 2], order.back());
    return ordered(v, order);
  };
  const auto fits = [](const NhwcValue& v, bool turn) { return !turn || v->rank >= 2; };
  std::string y;
  if (fits(a, turn_a) && fits(b, turn_b)) {
    y = make("MatMul", {side(a, turn_a), side(b, turn_b)});
  } else {
    const std::string equation =
        cat({turn_a ? "...ki" : "...ik", turn_b ? ",...jk" : ",...kj", "->...ij"});
    y = make("Einsum", {plain_name(a), plain_name(b)}, {{"equation", equation}});
  }
  NhwcValue v = edge(y, a->type, rank);
  if (!turn_b) v->last = b->last;
  if (turn_b && b->data && b->rank >= 2) v->last = sane(b->data->shape[b->data->shape.size() - 2]);
  return v;
}

NhwcValue NhwcBuilder::reduce(std::string_view op, const NhwcValue& x, const NhwcValue& axes,
                              bool keep) {
  Numbers at;
  if (!known(axes, at)) throw NoTranslation{"axes that are computed"};
  if (at.empty()) return x;
  bool first = is_first(x);
  std::array<bool, 4> gone{};
  for (const int64_t a : at)
    if (first && a >= -4 && a < 4) gone[static_cast<size_t>(a < 0 ? a + 4 : a)] = true;
  // What stays has to stay in the network's order.
  first = first && (keep || gone[3] || (gone[1] && gone[2]));
  if (first) {
    constexpr std::array<int64_t, 4> place = {0, 2, 3, 1};
    at.clear();
    for (size_t d = 0; d < 4; ++d)
      if (gone[d]) at.push_back(place[d]);
  }
  const std::string& from = name_in(x, first);
  const int64_t keepdims = keep;
  const std::string y = op == "ReduceSum"
                            ? make(op, {from, net_.ints(at)}, {{"keepdims", keepdims}})
                            : make(op, {from}, {{"axes", at}, {"keepdims", keepdims}});
  const int rank = keep          ? x->rank
                   : x->rank < 0 ? -1
                                 : std::max(0, x->rank - static_cast<int>(at.size()));
  NhwcValue v = edge(y, x->type, rank, first && keep);
  const bool channels = first ? !gone[3] : std::none_of(at.begin(), at.end(), [&](int64_t a) {
    return a == -1 || a == x->rank - 1;
  });
  if (channels && x->rank > 0) v->last = x->last;
  return v;
}

NhwcValue NhwcBuilder::arg(std::string_view op, const NhwcValue& x, int64_t axis, Elem type) {
  const bool first = is_first(x) && (axis == 3 || axis == -1);
  const std::string y =
      make(op, {name_in(x, first)}, {{"axis", first ? 1 : axis}, {"keepdims", int64_t{0}}});
  return cast(edge(y, Elem::i64, x->rank > 0 ? x->rank - 1 : x->rank), type);
}

NhwcValue NhwcBuilder::softmax(std::string_view op, const NhwcValue& x, int64_t axis) {
  const bool first = is_first(x) && (axis == 3 || axis == -1);
  NhwcValue y =
      edge(make(op, {name_in(x, first)}, {{"axis", first ? 1 : axis}}), x->type, x->rank, first);
  y->last = x->last;
  return y;
}

}  // namespace nacre
