// Convolutions and matrix products on bf16 operands, where Precision asks for it. Pictures keep
// their channels last (NxHxWxC) between convolutions and lie in memory as bf16; what is computed
// between them, and all sums, are f32.
//
// Names: rows are tensors NxHxWxC, planes the NxCxHxW that the program means. A value that
// convolutions or products read is rounded once, where it is made: all who read it read the rounded
// one, so that only that one is kept.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compile/channels_last.h"
#include "compile/plan.h"
#include "ops/norm/norm.h"

namespace nacre {
namespace {

using Place = std::pair<const Node*, uint32_t>;

Place place(const Tensor& t) { return {t.node(), t.index()}; }

bool is_elementwise(const Node* n) {
  return n->op && !n->evaluated && n->op->kind == OpKind::elementwise;
}

/// b of a cast of b from bf16 to f32; undefined for others.
Tensor narrow_source(const Tensor& t) {
  if (!is_op(t.node(), "cast") || t.dtype() != DType::f32) return {};
  const Tensor& b = t.node()->inputs[0];
  return b.dtype() == DType::bf16 ? b : Tensor();
}

Tensor widen(const Tensor& b) { return cast(b, DType::f32); }

class Narrowing {
 public:
  Narrowing(const Graph& graph, const CompileOptions& options) : graph_(graph), options_(options) {
    Tracing guard;
    for (const Node* n : graph.nodes()) {
      for (const Tensor& t : n->inputs) readers_[t.node()].push_back(n);
      if (fits(*n)) heavy_.insert(n);
    }
    for (const Tensor& t : graph.outputs()) results_.insert(t.node());
    if (heavy_.empty()) return;
    for (const Node* n : graph.nodes())
      if (is_op(n, "max_pool")) note_pool(n);
    for (const Node* n : graph.nodes())
      for (size_t i = 0; i < n->inputs.size(); ++i)
        if (reads_rounded(n, i)) round_source(n->inputs[i]);
    for (const auto& [last, pool] : pool_gradients_)
      round_source(last->inputs[0].node()->inputs[2]);
  }

  bool anything() const { return !heavy_.empty(); }

  Graph run() {
    return rewrite(graph_, [&](const Node& n, const Tensors& in) {
      Tensors out = replacement(n, in);
      if (out.empty()) {
        Node* c = clone(n, in);
        for (uint32_t k = 0; k < c->outputs.size(); ++k) out.emplace_back(c, k);
      }
      for (uint32_t k = 0; k < out.size(); ++k)
        if (out[k].defined() && rounded_.count({&n, k})) out[k] = rounded(out[k]);
      return out;
    });
  }

 private:
  // ---- what is worth it

  /// True for f32 work for which there is a bf16 kernel, large enough to be faster so.
  bool fits(const Node& n) const {
    if (!n.op || n.evaluated || n.outputs[0].dtype != DType::f32) return false;
    const bool forward = is_op(&n, "conv"), back = is_op(&n, "conv_input_grad"),
               to_weight = is_op(&n, "conv_weight_grad");
    const Shape& out = n.outputs[0].shape;
    const auto stand_in = [](const Shape& shape, DType t) { return make_placeholder(0, t, shape); };
    if (forward || back || to_weight) {
      if (out.rank() != 4) return false;
      const Shape &a = n.inputs[0].shape(), &b = n.inputs[1].shape(), &w = to_weight ? out : b;
      const bool depthwise = w[1] == 1 && attr<int64_t>(n, "groups") == w[0];
      const int64_t depth = depthwise ? w[0] : w.slice(1, 4).numel();
      if (std::min(w[0], depth) < 16 || out.numel() == 0 || a.numel() == 0) return false;
      const auto rows = [&](const Shape& s) {
        return stand_in({s[0], s[2], s[3], s[1]}, DType::bf16);
      };
      const Tensor in[] = {rows(a), to_weight ? rows(b) : stand_in(b, DType::f32)};
      return claimed(rows_op(n, in));
    }
    if (!is_op(&n, "matmul")) return false;
    const int64_t k = n.inputs[0].size(-1), columns = out[-1];
    if (std::min({k, columns, out[-2]}) < 16 || out.numel() == 0) return false;
    const Tensor in[] = {stand_in(n.inputs[0].shape(), DType::bf16),
                         stand_in(n.inputs[1].shape(), DType::bf16)};
    return claimed(make(*find_op("matmul_f32"), {}, std::span(in)));
  }

  /// A pool of which only the values are used, and the places only for the gradient: an addition of
  /// dy to zeros at those places, reshaped.
  void note_pool(const Node* n) {
    const Shape& x = n->inputs[0].shape();
    if (n->outputs[0].dtype != DType::f32 || x.rank() != 4 || x.numel() == 0 ||
        attr<Ints>(*n, "dilation") != Ints{1, 1} || results_.count(n))
      return;
    std::vector<const Node*> gradients;
    for (const Node* r : readers_[n]) {
      bool places = false;
      for (const Tensor& t : r->inputs) places = places || (t.node() == n && t.index() == 1);
      if (!places) continue;
      if (!is_op(r, "reshape") || readers_[r].size() != 1) return;
      const Node* add = readers_[r][0];
      if (!is_op(add, "scatter") || add->inputs[1].node() != r || readers_[add].size() != 1 ||
          attr<std::string>(*add, "reduce") != "add" || !is_op(add->inputs[2].node(), "reshape") ||
          !all_zero(add->inputs[0]))
        return;
      const Node* whole = readers_[add][0];
      if (!is_op(whole, "reshape") || whole->outputs[0].shape != x) return;
      gradients.push_back(whole);
    }
    pools_.insert(n);
    for (const Node* g : gradients) pool_gradients_[g] = n;
  }

  static bool all_zero(const Tensor& t) {
    if (!t.evaluated() || t.dtype() != DType::f32) return false;
    const Output& o = t.node()->outputs[t.index()];
    const bool one =
        std::all_of(o.strides.begin(), o.strides.end(), [](int64_t s) { return s == 0; });
    if (!one && !Operand{o.dtype, o.shape, o.strides}.contiguous()) return false;
    const auto* values = static_cast<const float*>(o.data());
    return std::all_of(values, values + (one ? 1 : t.numel()), [](float v) { return v == 0; });
  }

  bool claimed(const Tensor& t) const { return has_kernel(*t.node(), t.node()->inputs, options_); }

  /// The op on rows in the place of a convolution or of one of its gradients.
  static Tensor rows_op(const Node& n, std::span<const Tensor> in) {
    const auto* own = static_cast<const ConvAttrs*>(n.attrs.get());
    if (is_op(&n, "conv")) {
      ConvRowsAttrs a;
      static_cast<ConvAttrs&>(a) = *own;
      return make(*find_op("conv_rows"), box(a), in);
    }
    return make(*find_op(cat({"conv_rows_", std::string_view(n.op->name).substr(5)})), n.attrs, in);
  }

  /// True if input i of a node is read as bf16.
  bool reads_rounded(const Node* n, size_t i) const {
    if (heavy_.count(n)) return i == 0 || is_op(n, "matmul") || is_op(n, "conv_weight_grad");
    const bool picture = n->inputs.size() > 0 && n->inputs[0].rank() == 4;
    return picture && ((pools_.count(n) && i == 0) || (is_op(n, "batch_norm_train") && i == 0) ||
                       (is_op(n, "batch_norm_grad") && (i == 0 || i == 4)));
  }

  /// Notes the value that `t` is a view of.
  void round_source(const Tensor& t) {
    const Tensor* at = &t;
    while (is_view(at->node())) at = &at->node()->inputs[0];
    if (at->node()->op && !at->node()->evaluated && at->dtype() == DType::f32)
      rounded_.insert(place(*at));
  }

  /// True if all that comes of a result, but for elementwise ops and sums, are products again: it
  /// may be rounded. Others (norms, softmax, losses) get their f32. `joined`: norms, pools and
  /// means of pictures are let through.
  bool only_for_products(const Node* n, bool joined = false) {
    const auto passes = [&](const Node* r) {
      return is_elementwise(r) || is_view(r) ||
             (joined && (is_op(r, "concat") || is_op(r, "batch_norm_infer") ||
                         is_op(r, "avg_pool") || is_op(r, "max_pool")));
    };
    std::vector<const Node*> stack = {n};
    std::set<const Node*> seen;
    while (!stack.empty()) {
      const Node* at = stack.back();
      stack.pop_back();
      if (results_.count(at)) return false;
      for (const Node* r : readers_[at]) {
        if (heavy_.count(r) || is_op(r, "sum") || (joined && is_op(r, "mean"))) continue;
        if (!seen.insert(r).second) continue;
        if (!passes(r)) return false;
        stack.push_back(r);
      }
    }
    return true;
  }

  // ---- values

  /// `t` as bf16: its source where it was widened, else a cast, below views.
  Tensor narrow(const Tensor& t) {
    if (Tensor b = narrow_source(t); b.defined()) return b;
    if (const auto at = narrowed_.find(place(t)); at != narrowed_.end()) return at->second.second;
    const Tensor b =
        is_view(t.node()) ? again(*t.node(), narrow(t.node()->inputs[0])) : cast(t, DType::bf16);
    narrowed_[place(t)] = {t, b};
    return b;
  }

  Tensor rounded(const Tensor& t) {
    if (const Tensor y = rows_of(t); y.defined()) return to_planes(rounded(y));
    return narrow_source(t).defined() ? t : widen(narrow(t));
  }

  /// Planes as rows of bf16.
  Tensor narrow_rows(const Tensor& t) {
    if (const Tensor y = rows_of(t); y.defined()) return narrow(y);
    const Tensor y = to_rows(t);
    if (t.size(1) <= 4) return narrow_view(t, y);
    return narrow_view(t, make(*find_op("contiguous"), {y}));
  }
  Tensor narrow_view(const Tensor& key, const Tensor& y) {
    auto& known = narrowed_rows_[place(key)];
    if (!known.second.defined()) known = {key, cast(y, DType::bf16)};
    return known.second;
  }

  // ---- rules

  Tensors replacement(const Node& n, const Tensors& in) {
    if (heavy_.count(&n)) return {heavy(n, in)};
    if (in.empty()) return {};
    if (pools_.count(&n)) return pool(n, in);
    if (const auto at = pool_gradients_.find(&n); at != pool_gradients_.end())
      return pool_gradient(*at->second, in[0]);
    if (is_op(&n, "sum")) return sum_of(n, in[0]);
    if (is_view(&n)) {
      const Tensor b = narrow_source(in[0]);
      return b.defined() ? Tensors{widen(again(n, b))} : Tensors();
    }
    if (is_elementwise(&n)) return elementwise(n, in);
    if (n.outputs[0].dtype != DType::f32) return {};
    if (is_op(&n, "concat")) return join(n, in);
    if (!rows_of(in[0]).defined()) return {};
    if (is_op(&n, "avg_pool")) {
      const Tensor y = pool_of_rows(n, rows_of(in[0]), options_);
      return y.defined() ? Tensors{y} : Tensors();
    }
    if (is_op(&n, "batch_norm_train")) return norm(n, in);
    if (is_op(&n, "batch_norm_grad")) return norm_grad(n, in);
    if (is_op(&n, "batch_norm_infer")) {
      const auto [scale, shift] = norm_line(n, in[1], in[2], in[3], in[4]);
      return {to_planes(rows_of(in[0]) * scale + shift)};
    }
    return {};
  }

  Tensor heavy(const Node& n, const Tensors& in) {
    if (is_op(&n, "matmul")) {
      const Tensor a = narrow(in[0]), b = narrow(in[1]);
      // Of two values, neither a parameter: a gradient of one, or scores before a softmax.
      const auto parameter = [](const Tensor& t) {
        const Tensor* at = &t;
        while (is_view(at->node())) at = &at->node()->inputs[0];
        return !at->node()->op || at->node()->evaluated;
      };
      const bool weighted = parameter(n.inputs[0]) || parameter(n.inputs[1]);
      if (weighted && only_for_products(&n)) return widen(matmul(a, b));
      return make(*find_op("matmul_f32"), {a, b});
    }
    const bool to_weight = is_op(&n, "conv_weight_grad");
    const Tensor operands[] = {narrow_rows(in[0]), to_weight ? narrow_rows(in[1]) : in[1]};
    const Tensor y = rows_op(n, operands);
    return to_weight ? y : to_planes(widen(y));
  }

  /// Of what is kept as bf16, sums that leave channels, without a copy in f32.
  Tensors sum_of(const Node& n, const Tensor& x) {
    const Tensor y = rows_of(x), b = narrow_source(y.defined() ? y : x);
    if (!b.defined() || b.rank() < 2 || b.numel() == 0) return {};
    if (attr<Ints>(n, "dims") != (y.defined() ? Ints{0, 2, 3} : dims_between(0, b.rank() - 1)))
      return {};
    const Tensor mean =
        make_all(*find_op("channel_moments"), box(ChannelAttrs{}), std::span(&b, 1))[0];
    return {reshape(mean * (static_cast<double>(b.numel()) / static_cast<double>(b.size(-1))),
                    n.outputs[0].shape)};
  }

  Tensors elementwise(const Node& n, const Tensors& in) {
    const Tensors rows = operands_as_rows(n, in);
    if (rows.empty()) return {};
    if (const Tensor y = into_convolution(n, rows); y.defined()) return {to_planes(widen(y))};
    const Tensor y = make(*n.op, n.attrs, rows);
    return y.rank() == 4 ? Tensors{to_planes(y)} : Tensors();
  }

  /// A convolution that only `n` reads, then `n`: a bias, an addition, ReLU, a limit; or
  /// y * sigmoid(y).
  Tensor into_convolution(const Node& n, const Tensors& rows) {
    for (size_t i = 0; i < std::min<size_t>(rows.size(), 2); ++i) {
      const Tensor y = narrow_source(rows[i]);
      const Node* read = n.inputs[i].node();
      if (!y.defined() || !is_op(y.node(), "conv_rows") || results_.count(read)) continue;
      auto a = *static_cast<const ConvRowsAttrs*>(y.node()->attrs.get());
      const bool free = a.low == -INFINITY && a.high == INFINITY && !a.swish;
      const Tensor other = rows.size() > 1 ? rows[1 - i] : Tensor();
      const bool gated = is_op(&n, "mul") && is_sigmoid_of(other, y) &&
                         readers_[n.inputs[1 - i].node()].size() == 1;
      if (readers_[read].size() != (gated ? 2u : 1u)) continue;
      Tensors inputs(y.node()->inputs.begin(), y.node()->inputs.end());
      // The library's limits make a number of NaN, which training is to come to know.
      const bool training = !inputs[1].evaluated();
      const bool number = other.defined() && other.evaluated() && other.numel() == 1 &&
                          !std::isnan(other.item()) && !training;
      if (is_op(&n, "relu") && free && !training) {
        a.low = 0;
      } else if (is_op(&n, "maximum") && number && free) {
        a.low = other.item();
      } else if (is_op(&n, "minimum") && number && a.high == INFINITY && a.low <= other.item()) {
        a.high = other.item();
      } else if (gated && free) {
        a.swish = true;
      } else if (is_op(&n, "add") && free && !a.residual) {
        const Tensor added = narrow_source(other);
        if (added.defined() && added.shape() == y.shape()) {
          a.residual = true;
          inputs.push_back(added);
        } else if (!a.bias && other.dtype() == DType::f32 && other.numel() == y.size(3) &&
                   other.size(-1) == y.size(3)) {
          a.bias = true;
          inputs.push_back(reshape(other, {y.size(3)}));
        } else {
          continue;
        }
      } else {
        continue;
      }
      const MadeFor place(*y.node());
      if (const Tensor whole = make(*y.node()->op, box(a), inputs); claimed(whole)) return whole;
    }
    return {};
  }

  static bool is_sigmoid_of(const Tensor& gate, const Tensor& y) {
    if (!is_op(gate.node(), "sigmoid")) return false;
    const Tensor of = narrow_source(gate.node()->inputs[0]);
    return of.defined() && place(of) == place(y);
  }

  Tensors norm(const Node& n, const Tensors& in) {
    const Tensor x = narrow(rows_of(in[0]));
    const Tensors m = make_all(*find_op("channel_moments"), box(ChannelAttrs{}), std::span(&x, 1));
    const auto [scale, shift] = norm_line(n, in[1], in[2], m[0], m[1]);
    return {to_planes(widen(x) * scale + shift), m[0], m[1]};
  }

  Tensors norm_grad(const Node& n, const Tensors& in) {
    const Tensor x = narrow(rows_of(in[0])), dy = narrow_rows(in[4]);
    const Tensor &weight = in[1], &mean = in[2];
    const Tensor operands[] = {x, dy, mean};
    const Tensors sums = make_all(*find_op("channel_products"), box(ChannelAttrs{}), operands);
    const double count = static_cast<double>(x.numel()) / static_cast<double>(x.size(3));
    const Tensor rstd = rsqrt(in[3] + attr<double>(n, "eps")), dw = sums[1] * rstd;
    // dx = scale (dy - db / count - (x - mean) rstd dw / count)
    const Tensor scale = weight * rstd, by_x = scale * rstd * dw * (-1 / count),
                 shift = scale * sums[0] * (-1 / count) - by_x * mean;
    return {to_planes(widen(dy) * scale + (widen(x) * by_x + shift)), dw, sums[0]};
  }

  Tensors pool(const Node& n, const Tensors& in) {
    if (!rows_of(in[0]).defined()) return {};
    const Tensor x = narrow(rows_of(in[0])), y = pool_of_rows(n, x, options_);
    if (!y.defined()) return {};
    pooled_[&n] = x;
    return {to_planes(widen(rows_of(y))), Tensor(clone(n, in), 1)};
  }

  /// `sum`: the rewritten addition to zeros, which is then not needed.
  Tensors pool_gradient(const Node& pool, const Tensor& sum) {
    const auto at = pooled_.find(&pool);
    if (at == pooled_.end()) return {};
    const Tensor dy = reshape(sum.node()->inputs[2], pool.outputs[0].shape);
    const Tensor in[] = {at->second,
                         narrow_rows(is_op(dy.node(), "reshape") ? unreshaped(dy) : dy)};
    return {to_planes(widen(make(*find_op("max_pool_rows_grad"), pool.attrs, in)))};
  }
  /// Below reshapes, if that has the same shape.
  static Tensor unreshaped(const Tensor& t) {
    const Tensor* at = &t;
    while (is_op(at->node(), "reshape")) at = &at->node()->inputs[0];
    return at->shape() == t.shape() ? *at : t;
  }

  /// Where the channels of one part lie last, the others are put in that order. They are rounded if
  /// what reads them would do that.
  Tensors join(const Node& n, const Tensors& in) {
    if (attr<int64_t>(n, "dim") != 1 || n.outputs[0].shape.rank() != 4) return {};
    if (std::none_of(in.begin(), in.end(), [](const Tensor& t) { return rows_of(t).defined(); }))
      return {};
    const bool round = rounded_.count({&n, 0}) || only_for_products(&n, true);
    Tensors parts;
    for (const Tensor& t : in) parts.push_back(round ? narrow_rows(t) : ordered_rows(t));
    const Tensor y = concat(parts, 3);
    return {to_planes(round ? widen(y) : y)};
  }

  const Graph& graph_;
  const CompileOptions& options_;
  std::set<const Node*> heavy_, results_, pools_;
  std::map<const Node*, const Node*> pool_gradients_;  // the last node of a gradient; its pool
  std::map<const Node*, Tensor> pooled_;               // what a pool reads, of the new graph
  std::set<Place> rounded_;                            // of the old graph
  std::map<const Node*, std::vector<const Node*>> readers_;
  // Of the new graph, with what they are kept for.
  std::map<Place, std::pair<Tensor, Tensor>> narrowed_, narrowed_rows_;
};

Graph run_precision(const Graph& graph, const CompileOptions& options) {
  if (options.precision != DType::bf16) return graph;
  Narrowing narrowing(graph, options);
  return narrowing.anything() ? narrowing.run() : graph;
}

}  // namespace

extern const Pass pass_precision;
const Pass pass_precision = {"precision", run_precision};

}  // namespace nacre
