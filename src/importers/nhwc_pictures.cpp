// Convolutions, pools and what else knows height and width.
#include <algorithm>

#include "importers/nhwc_builder.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int64_t kMostSize = 1 << 20, kMostBlocks = 4096;

void check_sizes(const std::vector<int64_t>& v, std::string_view what, int64_t least) {
  if (v.size() != 2 && what != "padding") throw NoTranslation{"another window than of two sizes"};
  for (const int64_t n : v)
    if (n < least || n > kMostSize) fail(Error::Kind::data, {"has the impossible ", what, " ", n});
}

NhwcBuilder::Attributes window(const NhwcWindow& w) {
  check_sizes(w.strides, "stride", 1);
  check_sizes(w.dilations, "dilation", 1);
  NhwcBuilder::Attributes a{{"strides", w.strides}};
  if (!w.kernel.empty()) {
    check_sizes(w.kernel, "window", 1);
    a.emplace_back("kernel_shape", w.kernel);
  }
  if (w.padding == "SAME") {
    a.emplace_back("auto_pad", std::string("SAME_UPPER"));
  } else if (w.padding == "EXPLICIT") {
    if (w.pads.size() != 4) throw NoTranslation{"padding of other than height and width"};
    check_sizes(w.pads, "padding", 0);
    a.emplace_back("pads", w.pads);
  } else if (w.padding != "VALID") {
    throw NoTranslation{"an unknown padding"};
  }
  return a;
}

/// How many pictures blocks of these sizes make of one.
int64_t count_of(const std::vector<int64_t>& block, const std::vector<int64_t>& edges) {
  if (block.empty() || block.size() > 2 || edges.size() != 2 * block.size())
    throw NoTranslation{"blocks of other than one or two sizes"};
  int64_t count = 1;
  for (const int64_t b : block)
    if (b < 1 || b > kMostBlocks || (count *= b) > kMostBlocks)
      fail(Error::Kind::data, {"has blocks of ", b});
  for (const int64_t e : edges)
    if (e < 0 || e > kMostSize) fail(Error::Kind::data, {"has the impossible padding ", e});
  return count;
}

}  // namespace

NhwcValue NhwcBuilder::conv(const NhwcValue& x, const NhwcValue& kernel, const Ints& order,
                            const NhwcValue& bias, const NhwcWindow& w, int64_t groups) {
  Attributes a = window(w);
  a.emplace_back("dilations", w.dilations);
  NhwcValue y;
  const std::string& from = name_in(x, w.last);
  int64_t channels = -1;
  if (kernel->data && kernel->rank == 4) {
    const auto size = [&](size_t d) { return kernel->data->shape[static_cast<size_t>(order[d])]; };
    channels = size(0);
    if (groups == 0) groups = w.last && x->last > 0 && size(1) > 0 ? x->last / size(1) : 1;
  }
  a.emplace_back("group", std::max<int64_t>(groups, 1));
  std::vector<std::string> in{from, ordered(kernel, order)};
  if (bias) in.push_back(plain_name(bias));
  y = edge(make("Conv", in, a), x->type, 4, w.last);
  if (w.last) y->last = sane(channels);
  return y;
}

NhwcValue NhwcBuilder::conv_transpose(const NhwcValue& x, const NhwcValue& kernel,
                                      const Ints& order, const NhwcValue& bias,
                                      const NhwcValue& size, const NhwcWindow& w) {
  check_sizes(w.strides, "stride", 1);
  check_sizes(w.dilations, "dilation", 1);
  if (!kernel->data || kernel->rank != 4) throw NoTranslation{"a kernel that is computed"};
  const size_t row = w.last ? 1 : 2;
  Ints shape;
  if (!known(size, shape) && size->parts.size() == 4 && size->parts[row] && size->parts[row + 1])
    for (const auto& p : size->parts) shape.push_back(p.value_or(-1));
  Attributes a{{"strides", w.strides}, {"dilations", w.dilations}};
  std::vector<std::string> in{name_in(x, w.last), ordered(kernel, order)};
  const bool fixed = shape.size() == 4 && w.padding != "EXPLICIT";
  std::string y;
  if (fixed) {
    const Ints wanted{shape[row], shape[row + 1]};
    check_sizes(wanted, "size", 1);
    a.emplace_back("output_shape", wanted);
    a.emplace_back("auto_pad", std::string("SAME_UPPER"));
    if (bias) in.push_back(plain_name(bias));
    y = make("ConvTranspose", in, a);
  } else {
    // All that can be asked for, then cut to the size that is known when the network runs.
    const Ints extra{w.strides[0] - 1, w.strides[1] - 1};
    a.emplace_back("output_padding", extra);
    if (bias) in.push_back(plain_name(bias));
    const std::string whole = make("ConvTranspose", in, a);
    const auto at = static_cast<int64_t>(row);
    const std::string out = cut(index_name(size), {at}, {at + 2}, {0});
    std::string low = net_.ints({0, 0});
    if (w.padding == "EXPLICIT") {
      if (w.pads.size() != 4) throw NoTranslation{"padding of other than height and width"};
      low = net_.ints({w.pads[0], w.pads[1]});
    } else if (w.padding == "SAME") {
      const std::string had = cut(make("Shape", {whole}), {2}, {4}, {0});
      const std::string more = make("Sub", {make("Sub", {had, net_.ints(extra)}), out});
      low = make("Div", {make("Max", {more, net_.ints({0, 0})}), net_.ints({2, 2})});
    }
    y = make("Slice", {whole, low, make("Add", {low, out}), net_.ints({2, 3})});
  }
  NhwcValue v = edge(y, x->type, 4, w.last);
  if (w.last) v->last = sane(kernel->data->shape[static_cast<size_t>(order[1])]);
  return v;
}

NhwcValue NhwcBuilder::pool(bool max, const NhwcValue& x, const NhwcWindow& w) {
  NhwcValue y = edge(make(max ? "MaxPool" : "AveragePool", {name_in(x, w.last)}, window(w)),
                     x->type, 4, w.last);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::batch_norm(const Values& in, double epsilon, bool last) {
  std::vector<std::string> names{name_in(in[0], last)};
  for (size_t i = 1; i < 5; ++i) names.push_back(plain_name(in[i]));
  NhwcValue y =
      edge(make("BatchNormalization", names, {{"epsilon", epsilon}}), in[0]->type, 4, last);
  y->last = in[0]->last;
  return y;
}

NhwcValue NhwcBuilder::lrn(const NhwcValue& x, int64_t radius, double bias, double alpha,
                           double beta) {
  if (radius < 0 || radius > kMostSize)
    fail(Error::Kind::data, {"has the impossible radius ", radius});
  const int64_t size = 2 * radius + 1;
  NhwcValue y = edge(make("LRN", {first_name(x)},
                          {{"size", size},
                           {"alpha", alpha * static_cast<double>(size)},
                           {"beta", beta},
                           {"bias", bias}}),
                     x->type, 4, true);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::resize(const NhwcValue& x, const NhwcValue& size, bool nearest,
                              bool align_corners, bool half_pixel) {
  const NhwcValue v = nearest ? x : cast(x, Elem::f32);
  const std::string& from = first_name(v);
  const std::string sizes =
      make("Concat", {cut(make("Shape", {from}), {0}, {2}, {0}), index_name(size)},
           {{"axis", int64_t{0}}});
  const std::string where = align_corners ? "align_corners"
                            : half_pixel  ? "half_pixel"
                                          : "asymmetric";
  Attributes a{{"coordinate_transformation_mode", where},
               {"mode", std::string(nearest ? "nearest" : "linear")}};
  if (nearest)
    a.emplace_back("nearest_mode",
                   std::string(align_corners || half_pixel ? "round_prefer_ceil" : "floor"));
  NhwcValue y = edge(make("Resize", {from, "", "", sizes}, a), v->type, 4, true);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::depth_to_space(const NhwcValue& x, int64_t block, bool back, bool last) {
  if (block < 1 || block > kMostSize) fail(Error::Kind::data, {"has blocks of ", block});
  return edge(
      make(back ? "SpaceToDepth" : "DepthToSpace", {name_in(x, last)}, {{"blocksize", block}}),
      x->type, 4, last);
}

std::string NhwcBuilder::cut(const std::string& x, const Ints& from, const Ints& to,
                             const Ints& axes) {
  return make("Slice", {x, net_.ints(from), net_.ints(to), net_.ints(axes)});
}

/// Along the axis: one entry of each part, then the next of each.
std::string NhwcBuilder::interleave(const std::vector<std::string>& parts, int64_t axis) {
  std::vector<std::string> wide;
  for (const std::string& p : parts) wide.push_back(make("Unsqueeze", {p, net_.ints({axis + 1})}));
  const std::string shape = make("Shape", {parts[0]});
  const std::string size =
      make("Concat",
           {cut(shape, {0}, {axis}, {0}), net_.ints({-1}), cut(shape, {axis + 1}, {kEnd}, {0})},
           {{"axis", int64_t{0}}});
  return make("Reshape", {make("Concat", wide, {{"axis", axis + 1}}), size});
}

NhwcValue NhwcBuilder::space_to_batch(const NhwcValue& x, const Ints& block, const Ints& pads) {
  const int64_t count = count_of(block, pads);
  const bool first = block.size() == 2 && (x->rank == 4 || is_first(x));
  if (!first && x->rank < 0) throw NoTranslation{"an input of unknown rank"};
  const size_t rank = static_cast<size_t>(first ? 4 : x->rank), at = first ? 2 : 1;
  if (rank < at + block.size()) throw NoTranslation{"an input of too few dimensions"};
  Ints low_high(2 * rank, 0), axes;
  for (size_t d = 0; d < block.size(); ++d) {
    axes.push_back(static_cast<int64_t>(at + d));
    low_high[at + d] = pads[2 * d];
    low_high[rank + at + d] = pads[2 * d + 1];
  }
  std::string from = name_in(x, first);
  if (std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; }))
    from = make("Pad", {from, net_.ints(low_high), plain_name(number(0, x->type))});
  const Ints ends(block.size(), kEnd);
  std::vector<std::string> parts;
  for (int64_t k = 0; k < count; ++k) {
    const Ints start = block.size() == 1 ? Ints{k} : Ints{k / block[1], k % block[1]};
    parts.push_back(make(
        "Slice", {from, net_.ints(start), net_.ints(ends), net_.ints(axes), net_.ints(block)}));
  }
  NhwcValue y = edge(make("Concat", parts, {{"axis", int64_t{0}}}), x->type, x->rank, first);
  y->last = x->last;
  return y;
}

NhwcValue NhwcBuilder::batch_to_space(const NhwcValue& x, const Ints& block, const Ints& crops) {
  const int64_t count = count_of(block, crops);
  const bool first = block.size() == 2 && (x->rank == 4 || is_first(x));
  if (!first && block.size() == 2 && x->rank < 0) throw NoTranslation{"an input of unknown rank"};
  const int64_t at = first ? 2 : 1;
  std::vector<std::string> parts;
  for (int64_t k = 0; k < count; ++k) parts.push_back(net_.fresh("Split"));
  add("Split", {name_in(x, first)}, parts, {{"axis", int64_t{0}}});
  for (size_t d = block.size(); d-- > 0;) {  // the last size varies fastest
    const auto b = static_cast<size_t>(block[d]);
    std::vector<std::string> joined;
    for (size_t k = 0; k < parts.size(); k += b)
      joined.push_back(interleave({parts.begin() + static_cast<std::ptrdiff_t>(k),
                                   parts.begin() + static_cast<std::ptrdiff_t>(k + b)},
                                  at + static_cast<int64_t>(d)));
    parts = std::move(joined);
  }
  Ints from, to, axes;
  for (size_t d = 0; d < block.size(); ++d) {
    from.push_back(crops[2 * d]);
    to.push_back(crops[2 * d + 1] ? -crops[2 * d + 1] : kEnd);
    axes.push_back(at + static_cast<int64_t>(d));
  }
  std::string y = parts[0];
  if (std::any_of(crops.begin(), crops.end(), [](int64_t c) { return c != 0; }))
    y = cut(y, from, to, axes);
  NhwcValue v = edge(y, x->type, x->rank, first);
  v->last = x->last;
  return v;
}

}  // namespace nacre
