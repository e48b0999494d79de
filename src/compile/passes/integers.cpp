// Convolutions and matrix products between dequantize and quantize (a network in "QDQ form") as
// products of 8-bit integers. Pictures of integers keep their channels last (NxHxWxC).
//
// A convolution of a dequantized picture by dequantized constant weights becomes conv_int8, which
// gives f32. What follows joins it: a bias, limits, and quantize, after which it gives integers; so
// does the addition of another dequantized picture between the two. A matrix product is a
// convolution of one row of pixels. What only moves integers (views, pools of maxima, joining) is
// done on them: op(dequantize(q)) becomes dequantize(op(q)).
//
// Names: planes are NxCxHxW as the program means them, rows NxHxWxC.
//
// The pass comes before constants are folded, which would make floats of the weights.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compile/channels_last.h"
#include "compile/plan.h"
#include "ops/nn/pool.h"
#include "ops/quantize/conv_int8.h"
#include "ops/quantize/quantize.h"

namespace nacre {
namespace {

bool is_byte(DType t) { return t == DType::u8 || t == DType::i8; }
double least(DType t) { return t == DType::u8 ? 0 : -128; }

/// True for an output of this node.
bool made_by(const Tensor& t, std::string_view op) { return is_op(t.node(), op); }

/// The conv_int8 that `t` is a view of; undefined for others.
Tensor conv_below(const Tensor& t) {
  const Tensor y = made_by(t, "reshape") ? t.node()->inputs[0] : rows_of(t);
  return y.defined() && made_by(y, "conv_int8") ? y : Tensor();
}

ConvInt8Attrs attrs_of(const Tensor& conv) {
  return *static_cast<const ConvInt8Attrs*>(conv.node()->attrs.get());
}

bool limited(const ConvInt8Attrs& a) { return a.low > -INFINITY || a.high < INFINITY; }

/// Scale and zero point of a whole tensor.
struct Grid {
  double scale = 1;
  int64_t zero = 0;
  DType type = DType::i8;
  bool operator==(const Grid&) const = default;
};

class Integers {
 public:
  Integers(const Graph& graph, const CompileOptions& options) : graph_(graph), options_(options) {
    for (const Node* n : graph.nodes())
      for (const Tensor& t : n->inputs)
        if (t.index() > 0) later_outputs_.insert(t.node());
    for (const Tensor& t : graph.outputs())
      if (t.index() > 0) later_outputs_.insert(t.node());
  }

  Graph run() {
    auto before = count_uses(graph_);
    return rewrite(graph_, [&](const Node& n, const Tensors& in) {
      Tensors out = replacement(n, in);
      if (out.empty()) {
        Node* c = clone(n, in);
        for (uint32_t k = 0; k < c->outputs.size(); ++k) out.emplace_back(c, k);
      }
      uses_[out[0].node()] += before[&n];
      return out;
    });
  }

 private:
  Tensors replacement(const Node& n, const Tensors& in) {
    if (in.empty()) return {};
    const Tensors y = of_integers(n, in);
    return y.empty() ? of_rows(n, in) : y;
  }

  Tensors of_integers(const Node& n, const Tensors& in) {
    if (is_op(&n, "conv")) return convolution(n, in);
    if (is_op(&n, "matmul")) return product(n, in);
    if (is_op(&n, "quantize")) return quantized(in);
    if (is_op(&n, "add")) return bias(n, in);
    if (is_op(&n, "mul")) return swish(in);
    if (is_op(&n, "relu") || is_op(&n, "maximum") || is_op(&n, "minimum")) return limit(n, in);
    if (is_op(&n, "max_pool")) return max_pool(n, in[0]);
    if (is_op(&n, "mean") || is_op(&n, "avg_pool")) return over_pixels(n, in[0]);
    if (is_op(&n, "concat")) return join(n, in);
    if (n.op->kind == OpKind::view && in.size() == 1) return view(n, in[0]);
    return {};
  }

  // ---- constants

  /// True for what depends on constants alone.
  bool constant(const Tensor& t) {
    if (t.evaluated()) return t.node()->placeholder < 0;
    const Node& n = *t.node();
    if (!n.op || !n.op->pure || n.op->kind == OpKind::control || n.inputs.size() == 0) return false;
    const auto known = constant_.find(&n);
    if (known != constant_.end()) return known->second.first;
    bool all = true;
    for (const Tensor& x : n.inputs) all = all && constant(x);
    constant_[&n] = {all, t};
    return all;
  }

  /// The values of a constant.
  std::vector<float> floats(const Tensor& t) {
    const Tensor values = computed(t.dtype() == DType::f32 ? t : cast(t, DType::f32));
    const auto* data = values.data_as<float>();
    return {data, data + values.numel()};
  }
  Tensor computed(const Tensor& t) {
    CompileOptions plain = options_;
    plain.passes = false;
    plain.label = "constant";
    const Tensor dense = make(*find_op("contiguous"), {t});
    return run_on(*compile(Graph({}, {dense}), {}, {}, plain), {})[0];
  }
  /// Sets `value` to that of a constant scalar; false for others.
  bool number(const Tensor& t, double& value) {
    if (t.numel() != 1 || !constant(t)) return false;
    value = floats(t)[0];
    return true;
  }

  /// The grid of a constant scale and zero point; false for others.
  bool grid(const Tensor& scale, const Tensor& zero, Grid& g) {
    double step, place;
    if (scale.rank() != 0 || !number(scale, step) || !number(zero, place) || !(step > 0) ||
        !std::isfinite(step))
      return false;
    g = {step, static_cast<int64_t>(place), zero.dtype()};
    return true;
  }

  /// q of dequantize(q) on one grid of 8 bits; undefined for others.
  Tensor integers(const Tensor& t, Grid& g) {
    if (!made_by(t, "dequantize") || t.dtype() != DType::f32) return {};
    const auto& of = t.node()->inputs;
    return is_byte(of[0].dtype()) && grid(of[1], of[2], g) ? of[0] : Tensor();
  }
  /// The same grid on other integers.
  Tensor numbers(const Tensor& like, const Tensor& q) {
    return dequantize(q, like.node()->inputs[1], like.node()->inputs[2]);
  }

  // ---- products

  bool claimed(const Tensor& t) const { return has_kernel(*t.node(), t.node()->inputs, options_); }

  /// Planes of integers as rows.
  Tensor rows(const Tensor& q) {
    if (const Tensor y = rows_of(q); y.defined()) return y;
    auto& known = rows_[{q.node(), q.index()}];
    if (known.second.defined()) return known.second;
    known.first = q;
    if (made_by(q, "quantize") && q.size(1) <= 4) {  // a picture: both in one go
      const auto& of = q.node()->inputs;
      known.second = quantize(to_rows(of[0]), of[1], of[2]);
    } else {
      known.second = make(*find_op("contiguous"), {to_rows(q)});
    }
    return known.second;
  }

  /// Weights and their scales, one for each of `count` channels along `axis`: zero points of 0.
  bool weights(const Tensor& t, int64_t axis, int64_t count, Tensor& q,
               std::vector<float>& scales) {
    if (!made_by(t, "dequantize") || t.dtype() != DType::f32) return false;
    const auto& of = t.node()->inputs;
    if (of[0].dtype() != DType::i8 || !constant(of[0]) || !constant(of[1]) || !constant(of[2]) ||
        (of[1].rank() == 1 && attr<int64_t>(*t.node(), "axis") != axis))
      return false;
    for (const float z : floats(of[2]))
      if (z != 0) return false;
    scales = floats(of[1]);
    if (of[1].rank() == 0) scales.assign(static_cast<size_t>(count), scales[0]);
    q = of[0];
    return usable(scales);
  }
  static bool usable(const std::vector<float>& scales) {
    return std::all_of(scales.begin(), scales.end(),
                       [](float s) { return s > 0 && std::isnormal(s); });
  }

  static Tensor list(const std::vector<float>& values) {
    return Tensor::from(values, {static_cast<int64_t>(values.size())});
  }

  /// conv_int8 that gives f32; undefined if no kernel takes it.
  Tensor convolved(const Tensor& x, const Grid& g, const Tensor& weight, std::vector<float> scales,
                   const ConvAttrs& window) {
    ConvInt8Attrs a;
    static_cast<ConvAttrs&>(a) = window;
    a.x_zero = g.zero;
    for (float& s : scales) s = static_cast<float>(s * g.scale);
    if (!usable(scales)) return {};
    const Tensor in[] = {x, weight, list(scales)};
    const Tensor y = make(*find_op("conv_int8"), box(a), in);
    return claimed(y) ? y : Tensor();
  }

  Tensors convolution(const Node& n, const Tensors& in) {
    Grid g;
    Tensor weight;
    std::vector<float> scales;
    const Tensor q = integers(in[0], g);
    if (!q.defined() || q.rank() != 4 || !weights(in[1], 0, in[1].size(0), weight, scales))
      return {};
    const Tensor y = convolved(rows(q), g, weight, std::move(scales),
                               *static_cast<const ConvAttrs*>(n.attrs.get()));
    return y.defined() ? Tensors{to_planes(y)} : Tensors();
  }

  /// x [.., K] times [K, N] as a convolution of one row of pixels.
  Tensors product(const Node& n, const Tensors& in) {
    Grid g;
    Tensor weight;
    std::vector<float> scales;
    const Tensor q = integers(in[0], g);
    if (!q.defined() || q.rank() < 1 || in[1].rank() != 2 || n.outputs[0].shape.numel() == 0)
      return {};
    const int64_t depth = in[1].size(0), outs = in[1].size(1);
    if (depth == 0) return {};
    const bool turned =
        made_by(in[1], "permute") && attr<Ints>(*in[1].node(), "dims") == Ints{1, 0};
    if (!weights(turned ? in[1].node()->inputs[0] : in[1], turned ? 0 : 1, outs, weight, scales))
      return {};
    if (!turned) weight = transpose(weight);
    const ConvAttrs window{{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1};
    const Tensor y =
        convolved(reshape(q, {1, q.numel() / depth, 1, depth}), g,
                  computed(reshape(weight, {outs, depth, 1, 1})), std::move(scales), window);
    return y.defined() ? Tensors{reshape(y, n.outputs[0].shape)} : Tensors();
  }

  /// conv_int8 with other attributes and inputs, under the same view; empty if no kernel takes it.
  Tensors changed(const Tensor& view, const ConvInt8Attrs& a, const Tensors& inputs) {
    const Tensor conv = conv_below(view);
    Tensor y;
    {
      const MadeFor place(*conv.node());
      y = make(*conv.node()->op, box(a), inputs);
    }
    return claimed(y) ? Tensors{again(*view.node(), y)} : Tensors();
  }
  static Tensors inputs_of(const Tensor& conv) {
    return Tensors(conv.node()->inputs.begin(), conv.node()->inputs.end());
  }

  bool used_once(const Tensor& t) {
    const auto at = uses_.find(t.node());
    return at != uses_.end() && at->second == 1;
  }
  /// A convolution of integers that gives f32, which only one node reads.
  bool open_end(const Tensor& t) {
    return t.dtype() == DType::f32 && conv_below(t).defined() && used_once(t);
  }

  /// The dimension of channels of a view of conv_int8.
  static int64_t channels_of(const Tensor& view) {
    return made_by(view, "permute") ? 1 : view.rank() - 1;
  }

  Tensors bias(const Node& n, const Tensors& in) {
    for (size_t i = 0; i < 2; ++i) {
      const Tensor &t = in[i], &other = in[1 - i];
      if (!open_end(t) || t.shape() != n.outputs[0].shape || !constant(other)) continue;
      const Tensor conv = conv_below(t);
      ConvInt8Attrs a = attrs_of(conv);
      if (limited(a) || a.swish) continue;
      const int64_t outs = conv.size(3), shift = t.rank() - other.rank();
      bool along = other.numel() == 1 || other.numel() == outs;
      for (int64_t d = 0; d < other.rank(); ++d)
        along = along && (other.size(d) == 1 || d + shift == channels_of(t));
      if (!along) continue;
      Tensors inputs = inputs_of(conv);
      const std::vector<float> scales = floats(inputs[2]), values = floats(other);
      std::vector<float> units = a.bias ? floats(inputs[3]) : std::vector<float>(scales.size(), 0);
      for (size_t k = 0; k < units.size(); ++k)
        units[k] += values[values.size() == 1 ? 0 : k] / scales[k];
      if (!std::all_of(units.begin(), units.end(), [](float u) { return std::isfinite(u); }))
        return {};
      inputs.resize(3);
      inputs.push_back(list(units));
      a.bias = true;
      return changed(t, a, inputs);
    }
    return {};
  }

  /// y * sigmoid(y) of a convolution's y, which nothing else reads.
  Tensors swish(const Tensors& in) {
    for (size_t i = 0; i < 2; ++i) {
      const Tensor &t = in[i], conv = rows_of(t), gate = rows_of(in[1 - i]);
      if (!conv.defined() || !gate.defined() || !made_by(conv, "conv_int8") ||
          !made_by(gate, "sigmoid") || gate.node()->inputs[0].node() != conv.node() ||
          t.dtype() != DType::f32 || uses_[t.node()] != 2 || !used_once(in[1 - i]))
        continue;
      ConvInt8Attrs a = attrs_of(conv);
      if (a.swish || limited(a)) continue;
      a.swish = true;
      return changed(t, a, inputs_of(conv));
    }
    return {};
  }

  /// If `n` limits `in` from one side by a number, narrows low and high, which come after it.
  bool limits(const Node& n, std::span<const Tensor> in, size_t& which, double& low, double& high) {
    double bound = 0;
    which = 0;
    if (!is_op(&n, "relu")) {
      if (!is_op(&n, "maximum") && !is_op(&n, "minimum")) return false;
      which = in[0].shape() == n.outputs[0].shape && in[0].numel() > 1 ? 0 : 1;
      if (in[which].shape() != n.outputs[0].shape || !number(in[1 - which], bound) ||
          std::isnan(bound))
        return false;
    }
    if (is_op(&n, "minimum"))
      high = std::max(low, std::min(high, bound));
    else
      low = std::min(high, std::max(low, bound));
    return true;
  }

  /// ReLU and the like, of a convolution or of integers.
  Tensors limit(const Node& n, const Tensors& in) {
    double low = -INFINITY, high = INFINITY;
    size_t which;
    if (n.outputs[0].dtype != DType::f32 || !limits(n, in, which, low, high)) return {};
    const Tensor& t = in[which];
    if (open_end(t)) {
      const Tensor conv = conv_below(t);
      ConvInt8Attrs a = attrs_of(conv);
      a.low = std::clamp(a.low, low, high);
      a.high = std::clamp(a.high, low, high);
      return changed(t, a, inputs_of(conv));
    }
    Grid g;
    const Tensor q = integers(t, g);
    if (!q.defined() || !is_op(&n, "relu")) return {};
    if (static_cast<double>(g.zero) == least(g.type)) return {t};
    return {numbers(t, maximum(q, Tensor::scalar(static_cast<double>(g.zero), g.type)))};
  }

  // ---- results

  Tensors quantized(const Tensors& in) {
    Grid g, other;
    if (in[0].dtype() != DType::f32 || !grid(in[1], in[2], g)) return {};
    if (const Tensor q = integers(in[0], other); q.defined() && g == other) return {q};
    double low = -INFINITY, high = INFINITY;
    Tensor t = in[0];
    for (size_t which;
         used_once(t) && t.node()->op && !t.evaluated() &&
         limits(*t.node(), {t.node()->inputs.begin(), t.node()->inputs.end()}, which, low, high);)
      t = t.node()->inputs[which];
    if (open_end(t)) {
      const Tensor conv = conv_below(t);
      ConvInt8Attrs a = attrs_of(conv);
      a.low = std::clamp(a.low, low, high);
      a.high = std::clamp(a.high, low, high);
      return finished(t, a, inputs_of(conv), g);
    }
    return made_by(t, "add") && used_once(t) ? sum(t, low, high, g) : Tensors();
  }

  /// The convolution with a result on the grid; limits and, of a sum, its scales are those of
  /// numbers.
  Tensors finished(const Tensor& view, ConvInt8Attrs a, Tensors inputs, const Grid& g) {
    a.dtype = g.type;
    a.y_zero = g.zero;
    a.low /= g.scale;
    a.high /= g.scale;
    if (a.residual || a.swish) {
      a.sum_scale /= g.scale;
      a.residual_scale /= g.scale;
    } else {
      std::vector<float> scales = floats(inputs[2]);
      for (float& s : scales) s = static_cast<float>(s / g.scale);
      if (!usable(scales)) return {};
      inputs[2] = list(scales);
    }
    return changed(view, a, inputs);
  }

  /// Of an addition: a convolution and integers, quantized.
  Tensors sum(const Tensor& add, double low, double high, const Grid& g) {
    const auto& in = add.node()->inputs;
    for (size_t i = 0; i < 2; ++i) {
      Grid of_other, of_sum;
      const Tensor other = integers(in[1 - i], of_other);
      if (!other.defined() || other.shape() != add.shape() || in[i].shape() != add.shape())
        continue;
      Tensor view = in[i];
      ConvInt8Attrs a;
      if (open_end(view) && !limited(attrs_of(conv_below(view)))) {
        a = attrs_of(conv_below(view));
      } else {  // its result was quantized
        view = integers(in[i], of_sum);
        if (!view.defined() || !conv_below(view).defined() || !used_once(view) ||
            !used_once(in[i]) || attrs_of(conv_below(view)).residual)
          continue;
        a = attrs_of(conv_below(view));
        const auto zero = static_cast<double>(of_sum.zero), from = least(of_sum.type) - zero;
        a.rounded = true;
        a.sum_low = std::clamp(std::nearbyint(a.low), from, from + 255);
        a.sum_high = std::clamp(std::nearbyint(a.high), from, from + 255);
        a.sum_scale = of_sum.scale;
      }
      if (a.residual || a.swish) continue;
      const Tensor conv = conv_below(view);
      Tensors inputs = inputs_of(conv);
      inputs.push_back(made_by(view, "permute") ? rows(other) : reshape(other, conv.shape()));
      a.residual = true;
      a.residual_scale = of_other.scale;
      a.residual_zero = of_other.zero;
      a.low = low;
      a.high = high;
      if (Tensors y = finished(view, a, inputs, g); !y.empty()) return y;
    }
    return {};
  }

  // ---- what moves integers

  Tensors view(const Node& n, const Tensor& in) {
    Grid g;
    const Tensor q = integers(in, g);
    return q.defined() ? Tensors{numbers(in, again(n, q))} : Tensors();
  }

  Tensors max_pool(const Node& n, const Tensor& in) {
    Grid g;
    const Tensor q = integers(in, g), x = q.defined() ? q : rows_of(in);
    if (!x.defined() || in.rank() != 4 || later_outputs_.count(&n)) return {};
    if (may_miss(in.shape(), n.outputs[0].shape, *static_cast<const MaxPoolAttrs*>(n.attrs.get())))
      return {};
    const Tensor y = pool_of_rows(n, q.defined() ? rows(q) : x, options_);
    if (!y.defined()) return {};
    return {q.defined() ? numbers(in, y) : y, Tensor()};
  }

  /// A mean over height and width reads rows as they lie.
  Tensors over_pixels(const Node& n, const Tensor& in) {
    const Tensor x = rows_of(widened(in));
    if (!x.defined() || x.dtype() != DType::f32) return {};
    if (is_op(&n, "mean")) {
      if (attr<Ints>(n, "dims") != Ints{2, 3}) return {};
    } else if (n.outputs[0].shape.slice(2, 4).numel() != 1 ||
               attr<Ints>(n, "kernel") != in.shape().slice(2, 4) ||
               attr<Ints>(n, "pad_low") != Ints{0, 0} || attr<Ints>(n, "pad_high") != Ints{0, 0}) {
      return {};
    }
    return {reshape(mean(x, {1, 2}), n.outputs[0].shape)};
  }

  Tensors join(const Node& n, const Tensors& in) {
    Grid g, first;
    Tensors parts;
    const bool planes = in[0].rank() == 4 && attr<int64_t>(n, "dim") == 1;
    for (const Tensor& t : in) {
      const Tensor q = integers(t, g);
      if (!q.defined()) return {};
      if (parts.empty()) first = g;
      if (!(g == first)) return {};
      parts.push_back(planes ? rows(q) : q);
    }
    const Tensor y = concat(parts, planes ? 3 : attr<int64_t>(n, "dim"));
    return {numbers(in[0], planes ? to_planes(y) : y)};
  }

  // ---- numbers between

  /// dequantize(to_planes(q)) as to_planes(dequantize(q)).
  Tensor widened(const Tensor& t) {
    Grid g;
    const Tensor q = integers(t, g), y = q.defined() ? rows_of(q) : Tensor();
    return y.defined() ? to_planes(numbers(t, y)) : t;
  }

  /// What is computed in f32 between products, with channels last like those.
  Tensors of_rows(const Node& n, const Tensors& in) {
    const Tensor x = rows_of(in[0]);
    if (is_op(&n, "quantize"))
      return x.defined() && in[1].rank() == 0 ? Tensors{to_planes(quantize(x, in[1], in[2]))}
                                              : Tensors();
    if (n.outputs[0].dtype != DType::f32 || n.outputs[0].shape.rank() != 4) return {};
    if (is_op(&n, "batch_norm_infer") && x.defined()) {
      const auto [scale, shift] = norm_line(n, in[1], in[2], in[3], in[4]);
      return {to_planes(x * scale + shift)};
    }
    if (is_op(&n, "avg_pool") && x.defined()) {
      const Tensor y = pool_of_rows(n, x, options_);
      return y.defined() ? Tensors{y} : Tensors();
    }
    const bool joins = is_op(&n, "concat") && attr<int64_t>(n, "dim") == 1;
    if (!joins && n.op->kind != OpKind::elementwise) return {};
    Tensors wide;
    Grid g;
    for (const Tensor& t : in) {
      // The sum of a product and of integers, which quantize joins to the product.
      if (is_op(&n, "add") && integers(t, g).defined()) return {};
      wide.push_back(widened(t));
    }
    if (!joins) {
      const Tensors rows = operands_as_rows(n, wide);
      const Tensor y = rows.empty() ? Tensor() : make(*n.op, n.attrs, rows);
      return y.defined() && y.rank() == 4 ? Tensors{to_planes(y)} : Tensors();
    }
    if (std::none_of(in.begin(), in.end(), [](const Tensor& t) { return rows_of(t).defined(); }))
      return {};
    Tensors parts;
    for (const Tensor& t : wide) parts.push_back(ordered_rows(t));
    return {to_planes(concat(parts, 3))};
  }

  const Graph& graph_;
  const CompileOptions& options_;
  std::set<const Node*> later_outputs_;        // nodes of which not only the first output is read
  std::unordered_map<const Node*, int> uses_;  // of nodes of the new graph
  std::map<const Node*, std::pair<bool, Tensor>> constant_;  // with what is kept alive
  std::map<std::pair<const Node*, uint32_t>, std::pair<Tensor, Tensor>> rows_;
};

Graph run_integers(const Graph& graph, const CompileOptions& options) {
  const auto nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [](const Node* n) { return is_op(n, "dequantize"); }))
    return graph;
  return Integers(graph, options).run();
}

}  // namespace

extern const Pass pass_integers;
const Pass pass_integers = {"integers", run_integers};

}  // namespace nacre
