// What moves values without computing: shapes, parts, places.
#include <algorithm>

#include "importers/nhwc_builder.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int64_t kMostParts = 1 << 16;

/// Where dimension `axis` of [n, h, w, c] is in [n, c, h, w].
int64_t axis_in(int64_t axis, bool first) {
  if (!first) return axis;
  if (axis < -4 || axis > 3)
    fail(Error::Kind::data, {"has the axis ", axis, " of four dimensions"});
  constexpr int64_t place[] = {0, 2, 3, 1};
  return place[axis < 0 ? axis + 4 : axis];
}

/// The integers of all these, one after the other; false if not all are known vectors or numbers.
bool joined(const NhwcBuilder::Values& in, int rank, std::vector<int64_t>& out) {
  for (const NhwcValue& v : in) {
    std::vector<int64_t> part;
    if (v->rank != rank || v->type != in[0]->type || !NhwcBuilder::known(v, part)) return false;
    out.insert(out.end(), part.begin(), part.end());
  }
  return in[0]->type == Elem::i32 || in[0]->type == Elem::i64;
}

}  // namespace

NhwcValue NhwcBuilder::concat(const Values& in, int64_t axis) {
  if (in.empty()) fail(Error::Kind::data, {"joins nothing"});
  if (Ints all; joined(in, 1, all)) return integers(all, in[0]->type);
  bool first = false, pictures = true;
  int64_t last = 0;
  for (const NhwcValue& v : in) {
    first = first || is_first(v);
    pictures = pictures && v->rank == 4;
    last = last < 0 || v->last < 0 ? -1 : sane(last + v->last);
  }
  first = first && pictures;
  std::vector<std::string> names;
  for (const NhwcValue& v : in) names.push_back(name_in(v, first));
  const int rank = in[0]->rank;
  NhwcValue y =
      edge(make("Concat", names, {{"axis", axis_in(axis, first)}}), in[0]->type, rank, first);
  y->last = axis == -1 || axis == rank - 1 ? last : in[0]->last;
  return y;
}

NhwcValue NhwcBuilder::pack(const Values& in, int64_t axis) {
  if (in.empty()) fail(Error::Kind::data, {"joins nothing"});
  if (Ints all; joined(in, 0, all)) return integers(all, in[0]->type);
  std::vector<std::string> wide;
  const std::string at = net_.ints({axis});
  for (const NhwcValue& v : in) wide.push_back(make("Unsqueeze", {plain_name(v), at}));
  NhwcValue y = edge(make("Concat", wide, {{"axis", axis}}), in[0]->type,
                     in[0]->rank < 0 ? -1 : in[0]->rank + 1);
  if (y->rank != 1) return y;
  y->last = std::ssize(in);
  for (const NhwcValue& v : in) {
    Ints one;
    y->parts.push_back(known(v, one) && one.size() == 1 ? std::optional(one[0]) : std::nullopt);
  }
  return y;
}

NhwcBuilder::Values NhwcBuilder::split(const NhwcValue& x, int64_t axis, int64_t count,
                                       const NhwcValue& sizes) {
  if (count < 1 || count > kMostParts) fail(Error::Kind::data, {"makes ", count, " parts"});
  const bool first = is_first(x);
  std::vector<std::string> in{name_in(x, first)}, names;
  Ints each;
  if (sizes && known(sizes, each) && std::count(each.begin(), each.end(), -1))
    throw NoTranslation{"a size that is left open"};
  if (sizes) in.push_back(index_name(sizes));
  for (int64_t k = 0; k < count; ++k) names.push_back(net_.fresh("Split"));
  add("Split", in, names, {{"axis", axis_in(axis, first)}});
  const bool through = axis == -1 || axis == x->rank - 1;
  Values out;
  for (size_t k = 0; k < names.size(); ++k) {
    NhwcValue v = edge(names[k], x->type, x->rank, first);
    v->last = !through               ? x->last
              : k < each.size()      ? sane(each[k])
              : sizes || x->last < 0 ? -1
                                     : x->last / count;
    out.push_back(v);
  }
  return out;
}

NhwcBuilder::Values NhwcBuilder::unpack(const NhwcValue& x, int64_t axis, int64_t count) {
  Values out;
  const NhwcValue from = edge(plain_name(x), x->type, x->rank);
  for (const NhwcValue& part : split(from, axis, count, nullptr))
    out.push_back(squeeze(part, {axis}));
  return out;
}

NhwcValue NhwcBuilder::reshaped(const NhwcValue& x, Ints shape) {
  int64_t count = 1, given = 1;
  for (const int64_t d : x->data->shape) count *= std::max<int64_t>(d, 1);
  int64_t* open = nullptr;
  for (int64_t& d : shape) {
    if (d == -1 && !open)
      open = &d;
    else if (d < 1 || __builtin_mul_overflow(given, d, &given))
      return nullptr;
  }
  if (open) *open = count / given;
  if (given * (open ? *open : 1) != count || x->data->bytes.empty() || x->data->scales.size() > 1)
    return nullptr;
  ConstantData data = *x->data;
  data.shape = std::move(shape);
  return constant(x->name, std::move(data));
}

NhwcValue NhwcBuilder::reshape(const NhwcValue& x, const NhwcValue& shape) {
  Ints sizes;
  if (known(shape, sizes)) {
    if (std::count(sizes.begin(), sizes.end(), 0)) throw NoTranslation{"a size of 0"};
    if (x->data)
      if (NhwcValue y = reshaped(x, sizes)) return y;
  }
  NhwcValue y = edge(make("Reshape", {plain_name(x), index_name(shape)}), x->type,
                     static_cast<int>(std::clamp<int64_t>(shape->last, -1, 64)));
  if (!sizes.empty())
    y->last = sane(sizes.back());
  else if (!shape->parts.empty())
    y->last = sane(shape->parts.back().value_or(-1));
  else if (shape->data)
    y->rank = 0;
  return y;
}

NhwcValue NhwcBuilder::squeeze(const NhwcValue& x, const Ints& axes) {
  if (x->data && axes.empty()) {
    Ints shape = x->data->shape;
    std::erase(shape, 1);
    if (NhwcValue y = reshaped(x, shape)) return y;
  }
  bool first = is_first(x);
  Ints at = axes;
  // [n, 1, 1, c] and [n, c, 1, 1] become the same.
  first = first && axes.size() == 2;
  for (int64_t& a : at) {
    a = first && a < 0 ? a + 4 : a;
    first = first && (a == 1 || a == 2);
  }
  std::vector<std::string> in{name_in(x, first)};
  if (!axes.empty()) in.push_back(net_.ints(first ? Ints{2, 3} : axes));
  NhwcValue y =
      edge(make("Squeeze", in), x->type,
           x->rank < 0 || axes.empty() ? -1 : std::max(0, x->rank - static_cast<int>(axes.size())));
  if (std::none_of(axes.begin(), axes.end(),
                   [&](int64_t a) { return a == -1 || a == x->rank - 1; }) &&
      !axes.empty())
    y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::unsqueeze(const NhwcValue& x, const Ints& axes) {
  if (x->data && axes.size() == 1 && axes[0] >= 0 && axes[0] <= x->rank) {
    Ints shape = x->data->shape;
    shape.insert(shape.begin() + axes[0], 1);
    if (NhwcValue y = reshaped(x, shape)) return y;
  }
  return edge(make("Unsqueeze", {plain_name(x), net_.ints(axes)}), x->type,
              x->rank < 0 ? -1 : x->rank + static_cast<int>(axes.size()));
}

NhwcValue NhwcBuilder::transpose(const NhwcValue& x, const Ints& order) {
  if (is_first(x) && order == Ints{0, 3, 1, 2}) return edge(x->first, x->type, 4);
  if (order == Ints{0, 2, 3, 1}) return edge(plain_name(x), x->type, 4, true);
  NhwcValue y = edge(make("Transpose", {plain_name(x)}, {{"perm", order}}), x->type,
                     static_cast<int>(order.size()));
  if (!order.empty() && order.back() == x->rank - 1) y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::pad(const NhwcValue& x, const NhwcValue& pads, std::string_view mode,
                           const NhwcValue& value) {
  Ints each;
  const bool fixed = known(pads, each), first = fixed && is_first(x) && each.size() == 8;
  std::string amounts;
  if (fixed) {
    if (each.size() % 2) fail(Error::Kind::data, {"pads by ", each.size(), " numbers"});
    const size_t rank = each.size() / 2;
    Ints low_high(each.size());
    for (size_t d = 0; d < rank; ++d) {
      const auto to = static_cast<size_t>(axis_in(static_cast<int64_t>(d), first));
      low_high[to] = each[2 * d];
      low_high[rank + to] = each[2 * d + 1];
    }
    amounts = net_.ints(low_high);
  } else {
    amounts = make("Reshape", {make("Transpose", {index_name(pads)}, {{"perm", Ints{1, 0}}}),
                               net_.ints({-1})});
  }
  std::vector<std::string> in{name_in(x, first), amounts};
  if (value) in.push_back(plain_name(value));
  NhwcValue y = edge(make("Pad", in, {{"mode", std::string(mode)}}), x->type, x->rank, first);
  if (fixed && !each.empty() && x->last >= 0) {
    const int64_t low = sane(each[each.size() - 2]), high = sane(each.back());
    if (low >= 0 && high >= 0) y->last = sane(x->last + low + high);
  }
  return y;
}

NhwcValue NhwcBuilder::slice(const NhwcValue& x, const NhwcValue& begin, const NhwcValue& size) {
  Ints from, sizes;
  if (known(begin, from) && known(size, sizes)) {
    if (from.size() != sizes.size())
      fail(Error::Kind::data, {"has ", from.size(), " begins and ", sizes.size(), " sizes"});
    Ints to, axes;
    for (size_t d = 0; d < from.size(); ++d) {
      if (from[d] < 0 || from[d] > kEnd || sizes[d] < -1 || sizes[d] > kEnd)
        fail(Error::Kind::data, {"takes ", sizes[d], " entries from ", from[d], " on"});
      to.push_back(sizes[d] < 0 ? kEnd : from[d] + sizes[d]);
      axes.push_back(static_cast<int64_t>(d));
    }
    const bool first = is_first(x) && from.size() == 4;
    for (int64_t& a : axes) a = axis_in(a, first);
    if (axes.empty()) return x;
    NhwcValue y = edge(cut(name_in(x, first), from, to, axes), x->type, x->rank, first);
    if (sizes.back() >= 0) y->last = sizes.back();
    return y;
  }
  const std::string start = index_name(begin), count = index_name(size);
  const std::string all = make("Less", {count, net_.ints({0})});
  const std::string end = make("Where", {all, net_.ints({kEnd}), make("Add", {start, count})});
  return edge(make("Slice", {plain_name(x), start, end}), x->type, x->rank);
}

NhwcValue NhwcBuilder::strided_slice(const NhwcValue& x, const NhwcValue& begin,
                                     const NhwcValue& end, const NhwcValue& strides,
                                     const SliceMasks& masks) {
  Ints from, to, step;
  if (!known(strides, step)) throw NoTranslation{"strides that are computed"};
  const bool fixed = known(begin, from) && known(end, to);
  const auto n = std::ssize(step);
  if (n > 32 || (fixed && (std::ssize(from) != n || std::ssize(to) != n)))
    fail(Error::Kind::data, {"has ", n, " strides for ", from.size(), " begins"});
  for (Ints* v : {&from, &to})
    for (int64_t& i : *v) i = std::clamp(i, -kEnd, kEnd);
  const auto bit = [](int64_t mask, int64_t i) { return (mask >> i & 1) != 0; };
  int64_t entries = 0, ellipses = 0;
  for (int64_t i = 0; i < n; ++i) {
    ellipses += bit(masks.ellipsis, i);
    entries += !bit(masks.ellipsis, i) && !bit(masks.new_axis, i);
  }
  if (ellipses > 1) fail(Error::Kind::data, {"has ", ellipses, " ellipses"});
  if ((ellipses || masks.new_axis) && x->rank < 0) throw NoTranslation{"an input of unknown rank"};
  if (x->rank >= 0 && entries > x->rank)
    fail(Error::Kind::data, {"slices ", entries, " of ", x->rank, " dimensions"});
  const std::string starts = fixed ? "" : index_name(begin), ends = fixed ? "" : index_name(end);
  // Where each entry begins and ends: numbers, or parts of what is computed.
  std::vector<std::string> begins_at, ends_at;
  Ints axes, steps, shrunk, added, low, high;
  int64_t axis = 0, out_axis = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto k = static_cast<size_t>(i);
    if (bit(masks.ellipsis, i)) {
      const int64_t skipped = x->rank - entries;
      axis += skipped;
      out_axis += skipped;
      continue;
    }
    if (bit(masks.new_axis, i)) {
      added.push_back(out_axis++);
      continue;
    }
    const bool one = bit(masks.shrink, i);
    if (step[k] == 0) fail(Error::Kind::data, {"has a stride of 0"});
    const bool open_start = !one && bit(masks.begin, i), open_end = !one && bit(masks.end, i);
    const int64_t by = one ? 1 : step[k];
    const int64_t whole_from = by > 0 ? 0 : kEnd, whole_to = by > 0 ? kEnd : -kEnd;
    axes.push_back(axis);
    steps.push_back(by);
    if (fixed) {
      low.push_back(open_start ? whole_from : from[k]);
      high.push_back(one ? (from[k] == -1 ? kEnd : from[k] + 1) : open_end ? whole_to : to[k]);
    } else {
      const std::string start = cut(starts, {i}, {i + 1}, {0});
      begins_at.push_back(open_start ? net_.ints({whole_from}) : start);
      if (one) {
        const std::string last = make("Equal", {start, net_.ints({-1})});
        ends_at.push_back(
            make("Where", {last, net_.ints({kEnd}), make("Add", {start, net_.ints({1})})}));
      } else {
        ends_at.push_back(open_end ? net_.ints({whole_to}) : cut(ends, {i}, {i + 1}, {0}));
      }
    }
    if (one)
      shrunk.push_back(axis);
    else
      ++out_axis;
    ++axis;
  }
  bool first = is_first(x) && fixed && shrunk.empty() && added.empty();
  std::string y = name_in(x, first);
  for (int64_t& a : axes) a = axis_in(a, first);
  const auto joined = [&](const std::vector<std::string>& parts) {
    return parts.size() == 1 ? parts[0] : make("Concat", parts, {{"axis", int64_t{0}}});
  };
  if (!axes.empty())
    y = make("Slice",
             {y, fixed ? net_.ints(low) : joined(begins_at),
              fixed ? net_.ints(high) : joined(ends_at), net_.ints(axes), net_.ints(steps)});
  if (!shrunk.empty()) y = make("Squeeze", {y, net_.ints(shrunk)});
  if (!added.empty()) y = make("Unsqueeze", {y, net_.ints(added)});
  return edge(
      y, x->type,
      x->rank < 0 ? -1 : x->rank - static_cast<int>(shrunk.size()) + static_cast<int>(added.size()),
      first);
}

NhwcValue NhwcBuilder::shape_of(const NhwcValue& x, Elem type) {
  std::string shape;
  if (is_first(x))
    shape = make("Gather", {make("Shape", {x->first}), net_.ints({0, 2, 3, 1})});
  else
    shape = make("Shape", {plain_name(x)});
  NhwcValue v = edge(shape, Elem::i64, 1);
  v->last = x->rank;
  return cast(v, type);
}

NhwcValue NhwcBuilder::gather(const NhwcValue& x, const NhwcValue& at, int64_t axis) {
  NhwcValue y = edge(make("Gather", {plain_name(x), index_name(at)}, {{"axis", axis}}), x->type,
                     x->rank < 0 || at->rank < 0 ? -1 : std::max(0, x->rank - 1 + at->rank));
  if (axis == 0 && x->rank > 1) y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::expand(const NhwcValue& x, const NhwcValue& shape) {
  const bool fits = shape->last >= x->rank && shape->last < 64;
  return edge(make("Expand", {plain_name(x), index_name(shape)}), x->type,
              fits ? static_cast<int>(shape->last) : -1);
}

NhwcValue NhwcBuilder::one_hot(const NhwcValue& x, const NhwcValue& depth, const NhwcValue& on,
                               const NhwcValue& off, int64_t axis) {
  const std::string at = net_.ints({0});
  const std::string both = make(
      "Concat", {make("Unsqueeze", {plain_name(off), at}), make("Unsqueeze", {plain_name(on), at})},
      {{"axis", int64_t{0}}});
  // ONNX counts indices below zero from the end, TensorFlow matches them with nothing.
  const std::string index = index_name(x), count = index_name(depth);
  const std::string below = make("Less", {index, net_.ints({0})});
  const std::string safe = make("Where", {below, count, index});
  return edge(make("OneHot", {safe, count, both}, {{"axis", axis}}), on->type,
              x->rank < 0 ? -1 : x->rank + 1);
}

NhwcBuilder::Values NhwcBuilder::top_k(const NhwcValue& x, const NhwcValue& k) {
  const std::vector<std::string> out{net_.fresh("TopK"), net_.fresh("TopK")};
  add("TopK", {plain_name(x), plain_name(k)}, out);
  return {edge(out[0], x->type, x->rank), edge(out[1], Elem::i64, x->rank)};
}

}  // namespace nacre
