#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "explain/scores.h"
#include "explain/walk.h"
#include "graph/attrs.h"

namespace nacre::explain {
namespace {

/// Each output is one of the inputs (or a zero): relevance takes the way of the gradient.
constexpr std::string_view kSelect[] = {
    "concat", "pad",          "flip",       "roll",          "max_pool",     "amax",
    "amin",   "gather",       "where",      "maximum",       "minimum",      "sort",
    "topk",   "index_select", "contiguous", "slice_scatter", "dynamic_slice"};
/// Sums with fixed weights.
constexpr std::string_view kSums[] = {"sum", "mean", "avg_pool", "fold", "cumsum", "add", "sub"};
/// One input to one output of the same place: relevance is handed on.
constexpr std::string_view kActivations[] = {
    "celu",       "elu",        "gelu",        "hard_sigmoid", "hard_swish", "hard_tanh",
    "hardshrink", "leaky_relu", "log_sigmoid", "mish",         "prelu",      "relu",
    "relu6",      "selu",       "sigmoid",     "silu",         "softplus",   "softshrink",
    "softsign",   "tanhshrink", "threshold",   "clip"};
/// Their results steer or scale other signals; in products they count as constants.
constexpr std::string_view kGates[] = {"softmax", "sigmoid", "hard_sigmoid", "rsqrt", "reciprocal"};
constexpr std::string_view kWeighted[] = {"conv", "conv_input_grad", "matmul"};

/// Keeps 0 / 0 from happening where no layer has weights; those have LrpOptions::epsilon.
constexpr double kTiny = 1e-9;

/// y = x * scale + shift, where both are constants; undefined: 1 and 0.
struct Affine {
  Tensor x, scale, shift;
};

/// A product with constant weights, with what is multiplied and added after it folded in:
/// y = product(x, weight) + bias.
struct Layer {
  Node* product;
  size_t input;  // of product: the signal; the other one is the weight
  Tensor weight, bias;
  const Tensor& x() const { return product->inputs[input]; }
};

class Relevance {
 public:
  explicit Relevance(const LrpOptions& options) : o_(options) {}

  void back(Walk& walk, Node& n, std::span<const Tensor> arrived) {
    const std::string_view op = n.op->name;
    const std::vector<size_t> inner = walk.dependent_inputs(n);
    if (inner.empty()) return;
    if (n.op->kind == OpKind::view || among(kSelect, op)) return select(walk, n, arrived);
    if (inner.size() == 1)
      if (const auto layer = layer_at(walk, n)) return through(walk, n, *layer, arrived[0]);
    if (op == "batch_norm_infer" || (inner.size() == 1 && (op == "add" || op == "sub")))
      return shifted(walk, n, inner[0], arrived[0]);
    if (among(kSums, op)) return in_proportion(walk, n, inner, arrived, 1);
    if (op == "scaled_dot_product_attention" && walk.depends(n.inputs[2]))  // weights are constants
      return in_proportion(walk, n, {2}, arrived, 1);
    if (op == "div" && inner.size() == 2) return walk.send(n.inputs[0], arrived[0]);
    if (among(kWeighted, op) || op == "mul") {
      if (inner.size() == 1) return in_proportion(walk, n, inner, arrived, 1);
      const bool gates[] = {is_gate(walk, n.inputs[0]), is_gate(walk, n.inputs[1])};
      if (gates[0] == gates[1]) return in_proportion(walk, n, inner, arrived, 0.5);
      return in_proportion(walk, n, {gates[0] ? size_t{1} : size_t{0}}, arrived, 1);
    }
    if (inner.size() == 1 && (n.op->kind == OpKind::elementwise || among(kActivations, op)))
      return walk.send(n.inputs[inner[0]], arrived[0]);
    if (n.op->decompose && op != "softmax" && op != "log_softmax")
      return walk.send_through_parts(n, arrived, rule());
    unknown_.insert(std::string(op));
  }
  Walk::Rule rule() {
    return [this](Walk& walk, Node& n, std::span<const Tensor> arrived) { back(walk, n, arrived); };
  }
  void check() const {
    if (unknown_.empty()) return;
    std::string names;
    for (const std::string& name : unknown_) names += (names.empty() ? "" : ", ") + name;
    fail(Error::Kind::unsupported, {"[lrp] there is no rule of relevance for: ", names});
  }
  const Tensor& bias() const { return bias_; }

 private:
  /// r / z, with z away from zero by epsilon.
  static Tensor over(const Tensor& r, const Tensor& z, double epsilon = kTiny) {
    return r / (z + where(z >= 0, epsilon, -epsilon));
  }
  void constants_get(const Tensor& relevance) {
    const Tensor total = sum(relevance);
    bias_ = bias_.defined() ? bias_ + total : total;
  }

  void select(Walk& walk, Node& n, std::span<const Tensor> arrived) {
    if (!n.op->vjp && n.op->decompose) return walk.send_through_parts(n, arrived, rule());
    std::vector<bool> wants;
    for (const Tensor& t : n.inputs) wants.push_back(is_float(t.dtype()));
    const Tensors dx = gradient_of(n, arrived, wants);
    for (size_t i = 0; i < dx.size(); ++i) {
      if (!dx[i].defined()) continue;
      if (walk.depends(n.inputs[i]))
        walk.send(n.inputs[i], dx[i]);
      else
        constants_get(dx[i]);
    }
  }

  /// Each of the inputs gets what it adds to the outputs, as if the others were constants.
  void in_proportion(Walk& walk, Node& n, const std::vector<size_t>& to,
                     std::span<const Tensor> arrived, double share) {
    std::vector<bool> wants(n.inputs.size(), false);
    for (size_t i : to) wants[i] = true;
    Tensors m;
    for (size_t k = 0; k < arrived.size(); ++k)
      m.push_back(arrived[k].defined() ? over(arrived[k], Tensor(&n, static_cast<uint32_t>(k)))
                                       : Tensor());
    const Tensors dx = gradient_of(n, m, wants);
    for (size_t i : to)
      if (dx[i].defined()) walk.send(n.inputs[i], n.inputs[i] * dx[i] * share);
  }

  /// y = x * scale + shift with no product before it.
  void shifted(Walk& walk, Node& n, size_t input, const Tensor& arrived) {
    const auto a = affine_at(walk, n);
    if (!a || !o_.bias) return walk.send(n.inputs[input], arrived);
    const Tensor m = over(arrived, Tensor(&n, 0));
    constants_get(a->shift * m);
    walk.send(a->x, a->x * (a->scale.defined() ? m * a->scale : m));
  }

  bool is_gate(const Walk& walk, Tensor t) const {
    while (t.node()->op && t.node()->inputs.size() > 0) {
      const Node& n = *t.node();
      if (among(kGates, n.op->name)) return true;
      const std::vector<size_t> inner = walk.dependent_inputs(n);
      const std::string_view op = n.op->name;
      const bool same =
          n.op->kind == OpKind::view || op == "cast" || op == "mul" || op == "contiguous";
      if (inner.size() != 1 || !same) return false;
      t = n.inputs[inner[0]];
    }
    return false;
  }

  static std::optional<Affine> affine_at(const Walk& walk, Node& n) {
    const std::vector<size_t> inner = walk.dependent_inputs(n);
    const std::string_view op = n.op->name;
    if (inner.size() != 1 || n.outputs[0].shape != n.inputs[inner[0]].shape()) return {};
    const Tensor& x = n.inputs[inner[0]];
    if (op == "neg") return Affine{x, -1, {}};
    if (op == "batch_norm_infer") {
      const double eps = std::get<double>(attr_field(*n.op, n.attrs.get(), "eps"));
      Shape channels(static_cast<size_t>(x.rank()) - 1, 1);
      channels[0] = x.size(1);
      const Tensor scale = n.inputs[1] * rsqrt(n.inputs[4] + eps);
      return Affine{x, reshape(scale, channels),
                    reshape(n.inputs[2] - n.inputs[3] * scale, channels)};
    }
    if (n.inputs.size() != 2) return {};
    const Tensor& c = n.inputs[1 - inner[0]];
    if (op == "add") return Affine{x, {}, c};
    if (op == "sub") return inner[0] == 0 ? Affine{x, {}, -c} : Affine{x, -1, c};
    if (op == "mul") return Affine{x, c, {}};
    if (op == "div" && inner[0] == 0) return Affine{x, 1 / c, {}};
    return {};
  }

  /// The weight times a scale of the product's output; undefined if the scale differs within what
  /// one weight makes.
  static Tensor folded(const Layer& l, const Tensor& scale) {
    const Tensor& w = l.weight;
    if (scale.numel() == 1) return w * reshape(scale, {});
    const std::string_view op = l.product->op->name;
    const int64_t rank = l.product->outputs[0].shape.rank();
    const auto only = [&](int64_t dim) {  // counted from the end
      return scale.rank() >= -dim && scale.size(dim) == scale.numel();
    };
    if (op == "conv" && only(1 - rank)) {
      Shape first(static_cast<size_t>(w.rank()), 1);
      first[0] = w.size(0);
      return w * reshape(scale, first);
    }
    if (op == "conv_input_grad" && only(1 - rank) && w.size(1) == scale.numel()) {
      Shape second(static_cast<size_t>(w.rank()), 1);
      second[1] = w.size(1);
      return w * reshape(scale, second);
    }
    if (op == "matmul" && l.input == 0 && w.rank() >= 2 && only(-1))
      return w * reshape(scale, {scale.numel()});
    if (op == "matmul" && l.input == 1 && w.rank() >= 2 && only(-2))
      return w * reshape(scale, {scale.numel(), 1});
    return {};
  }

  /// The layer whose last step is n: a product and the steps after it that nothing else uses.
  static std::optional<Layer> layer_at(const Walk& walk, Node& n) {
    Tensor scale, shift;
    for (Node* at = &n;;) {
      if (!at->op || (at != &n && walk.uses(*at) != 1)) return {};
      const std::vector<size_t> inner = walk.dependent_inputs(*at);
      if (among(kWeighted, at->op->name)) {
        if (inner.size() != 1) return {};
        Layer l{at, inner[0], at->inputs[1 - inner[0]], shift};
        if (scale.defined()) l.weight = folded(l, scale);
        if (!l.weight.defined()) return {};
        return l;
      }
      const auto step = affine_at(walk, *at);
      if (!step) return {};
      if (step->shift.defined()) {
        const Tensor moved = scale.defined() ? scale * step->shift : step->shift;
        shift = shift.defined() ? shift + moved : moved;
      }
      if (step->scale.defined()) scale = scale.defined() ? scale * step->scale : step->scale;
      at = step->x.node();
    }
  }

  static Tensor product(const Layer& l, const Tensor& x, const Tensor& weight) {
    Tensor in[2];
    in[l.input] = x;
    in[1 - l.input] = weight;
    return make(*l.product->op, l.product->attrs, in);
  }

  /// True if no value can be negative.
  static bool nonnegative(Tensor t) {
    for (;;) {
      const Node& n = *t.node();
      if (!n.op || n.inputs.size() == 0) return false;
      const std::string_view op = n.op->name;
      if (op == "relu" || op == "relu6" || op == "sigmoid") return true;
      if (op != "max_pool" && op != "avg_pool" && op != "mean" && n.op->kind != OpKind::view)
        return false;
      t = n.inputs[0];
    }
  }

  /// True if nothing but views and scaling lies between x and the walk's target.
  static bool sees_input(const Walk& walk, Tensor x) {
    while (!walk.is_target(x)) {
      const Node& n = *x.node();
      const std::vector<size_t> inner = walk.dependent_inputs(n);
      const bool plain = n.op->kind == OpKind::view || n.op->kind == OpKind::elementwise;
      if (inner.size() != 1 || !plain) return false;
      x = n.inputs[inner[0]];
    }
    return true;
  }

  /// One signal of a layer: outputs x times weight; its inputs get x times the way back.
  struct Part {
    Tensor x, weight;
    double strength;
    Tensor y;
  };

  void through(Walk& walk, Node& n, const Layer& l, const Tensor& arrived) {
    const bool conv = std::string_view(l.product->op->name) != "matmul";
    const LrpRule rule = sees_input(walk, l.x()) ? o_.first : conv ? o_.conv : o_.dense;
    std::vector<Part> parts;
    const auto add = [&](const Tensor& x, const Tensor& w, double strength) {
      parts.push_back({x, w, strength, product(l, x, w)});
    };
    if (rule == LrpRule::flat) add(ones_like(l.x()), ones_like(l.weight), 1);
    if (rule == LrpRule::epsilon || rule == LrpRule::gamma) add(l.x(), l.weight, 1);
    if (rule == LrpRule::zplus || rule == LrpRule::gamma) {
      const double strength = rule == LrpRule::gamma ? o_.gamma : 1;
      const bool positive = nonnegative(l.x());
      add(positive ? l.x() : maximum(l.x(), 0), maximum(l.weight, 0), strength);
      if (!positive) add(minimum(l.x(), 0), minimum(l.weight, 0), strength);
    }
    const bool bias = o_.bias && l.bias.defined() && rule != LrpRule::flat;
    Tensor z, shift;
    for (const Part& p : parts) {
      const Tensor y = p.strength == 1 ? p.y : p.y * p.strength;
      z = z.defined() ? z + y : y;
    }
    if (bias) {
      const Tensor positive = maximum(l.bias, 0);
      shift = rule == LrpRule::epsilon ? l.bias
              : rule == LrpRule::gamma ? l.bias + o_.gamma * positive
                                       : positive;
      z = rule == LrpRule::epsilon ? Tensor(&n, 0) : z + shift;
    }
    const Tensor m = over(arrived, z, o_.epsilon);
    if (bias) constants_get(shift * m);
    Tensor total;
    std::vector<bool> wants(2, false);
    wants[l.input] = true;
    for (const Part& p : parts) {
      const Tensor back = gradient_of(*p.y.node(), {&m, 1}, wants)[l.input] * p.x;
      const Tensor share = p.strength == 1 ? back : back * p.strength;
      total = total.defined() ? total + share : share;
    }
    walk.send(l.x(), total);
  }

  const LrpOptions& o_;
  Tensor bias_;
  std::set<std::string> unknown_;
};

}  // namespace

LrpOptions LrpOptions::named(const std::string& name) {
  const auto all = [](LrpRule r) { return LrpOptions{.conv = r, .dense = r, .first = r}; };
  if (name == "composite") return {};
  if (name == "composite_flat")
    return {.conv = LrpRule::zplus, .dense = LrpRule::epsilon, .first = LrpRule::flat};
  if (name == "epsilon") return all(LrpRule::epsilon);
  if (name == "gamma") return all(LrpRule::gamma);
  if (name == "zplus") return all(LrpRule::zplus);
  fail(Error::Kind::usage, {"there is no LRP rule '", name,
                            "': composite, composite_flat, epsilon, gamma and zplus are"});
}

Lrp lrp(const Scores& f, const Tensor& x, const Classes& classes, const LrpOptions& options) {
  if (!(options.epsilon >= 0) || !(options.gamma >= 0))
    fail(Error::Kind::usage, {"[lrp] epsilon is ", options.epsilon, " and gamma ", options.gamma,
                              "; both should be at least 0"});
  const Tensor at = identity(x);
  const Tensor score = class_scores(f, at, classes);
  Relevance relevance(options);
  Lrp result;
  result.map = Walk({score}, {at}).run({score}, relevance.rule())[0];
  relevance.check();
  result.bias = relevance.bias().defined() ? relevance.bias() : zeros({}, x.dtype());
  return result;
}

}  // namespace nacre::explain
