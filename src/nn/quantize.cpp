#include "nacre/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "compile/rewrite.h"
#include "nacre/autograd.h"
#include "nacre/program.h"

namespace nacre {

extern const Pass pass_norm, pass_fold;

namespace {

using Place = std::pair<const Node*, uint32_t>;

Place place_of_value(const Tensor& t) { return {t.node(), t.index()}; }

bool is_constant(const Tensor& t) { return t.evaluated() && t.node()->placeholder < 0; }

/// Convolutions and products by constant weights.
bool is_product(const Node* n) {
  if (!n->op || n->evaluated || n->outputs[0].dtype != DType::f32) return false;
  const bool conv = is_op(n, "conv") && n->inputs[1].rank() == 4;
  const bool matmul = is_op(n, "matmul") && n->inputs[1].rank() == 2 && n->inputs[0].rank() >= 2;
  return (conv || matmul) && is_constant(n->inputs[1]) && !is_constant(n->inputs[0]) &&
         n->inputs[1].numel() > 0;
}

/// Integers of one type that stand for numbers by one scale, as constants of graphs.
struct Grid {
  Tensor scale, zero;
};

/// What was found for one product.
struct Product {
  Tensor weight, scale, zero;          ///< i8 with the channels of the result first
  Tensor bias, bias_scale, bias_zero;  ///< i32; undefined where there is none
};

// ---- where integers go

/// The values of a recorded network that become integers, in groups that share a scale.
class Sites {
 public:
  explicit Sites(const Graph& graph) : nodes_(graph.nodes()) {
    for (const Node* n : nodes_)
      for (const Tensor& t : n->inputs) readers_[t.node()].push_back(n);
    for (const Node* n : nodes_) {
      if (!n->op || n->evaluated) continue;
      if (is_product(n)) {
        products.push_back(n);
        choose(n->inputs[0]);
      } else if (is_op(n, "add") && joins_pictures(*n)) {
        choose(n->inputs[0]);
        choose(n->inputs[1]);
        sums_.insert(n);
      } else if (is_op(n, "mean") || is_op(n, "avg_pool") || is_op(n, "adaptive_avg_pool")) {
        if (n->inputs[0].rank() == 4 && from_product(n->inputs[0])) choose(n->inputs[0]);
      }
    }
    for (size_t k = 0; k < values.size(); ++k) group_of_[place_of_value(values[k])] = root(k);
  }

  std::vector<const Node*> products;  ///< in the order of the graph
  Tensors values;                     ///< that become integers

  /// The number of the group of a value; -1 for values that stay.
  int64_t group(const Tensor& t) const {
    const auto at = group_of_.find(place_of_value(t));
    return at == group_of_.end() ? -1 : at->second;
  }

  /// The addition of constants for the channels of a product, if nothing else reads that.
  const Node* bias_of(const Node* product) const {
    const auto at = readers_.find(product);
    if (at == readers_.end() || at->second.size() != 1 || !is_op(at->second[0], "add")) return {};
    const Node* add = at->second[0];
    if (add->inputs[0].node() != product || !is_constant(add->inputs[1])) return nullptr;
    const Tensor &y = add->inputs[0], &b = add->inputs[1];
    const int64_t channel = is_op(product, "conv") ? 1 : y.rank() - 1, shift = y.rank() - b.rank();
    if (b.numel() != y.size(channel) || add->outputs[0].shape != y.shape()) return nullptr;
    for (int64_t d = 0; d < b.rank(); ++d)
      if (b.size(d) != 1 && d + shift != channel) return nullptr;
    return add;
  }

  /// Names of all ops, by which graphs of other batches are compared.
  std::string structure() const {
    std::string text;
    for (const Node* n : nodes_)
      if (n->op && !n->evaluated) text += cat({n->op->name, " "});
    return text;
  }

 private:
  /// Takes a value and all of which it only moves the numbers.
  void choose(const Tensor& first) {
    std::vector<std::pair<Tensor, size_t>> open = {{first, SIZE_MAX}};
    while (!open.empty()) {
      const auto [t, reader] = open.back();
      open.pop_back();
      if (is_constant(t) || t.dtype() != DType::f32) continue;
      const auto [at, fresh] = known_.try_emplace(place_of_value(t), values.size());
      if (fresh) {
        values.push_back(t);
        parent_.push_back(at->second);
      }
      if (reader != SIZE_MAX) {  // the earlier one stands for both
        const size_t a = root(at->second), b = root(reader);
        parent_[std::max(a, b)] = std::min(a, b);
      }
      if (fresh)
        for (const Tensor& x : moved(t)) open.emplace_back(x, at->second);
    }
  }
  static Tensors moved(const Tensor& t) {
    const Node* n = t.node();
    if (!n->op || n->evaluated) return {};
    if (is_op(n, "max_pool") && t.index() == 0) return {n->inputs[0]};
    if (is_op(n, "concat")) return Tensors(n->inputs.begin(), n->inputs.end());
    if (n->op->kind == OpKind::view && n->inputs.size() == 1 && !is_op(n, "expand"))
      return {n->inputs[0]};
    return {};
  }
  size_t root(size_t k) const {
    while (parent_[k] != k) k = parent_[k];
    return k;
  }

  /// A product or a sum of pictures, perhaps with a bias and limits after it.
  bool from_product(const Tensor& t) const {
    const Node* n = t.node();
    while (n->op && !n->evaluated) {
      if (is_product(n) || sums_.count(n)) return true;
      const Node* next = nullptr;
      for (const Tensor& x : n->inputs) {
        if (is_constant(x)) continue;
        if (next) return false;
        next = x.node();
      }
      const std::string_view op = n->op->name;
      const bool limit = op == "clip" || op == "relu6";
      if (!next || (n->op->kind != OpKind::elementwise && !limit)) return false;
      n = next;
    }
    return false;
  }
  bool joins_pictures(const Node& n) const {
    const Tensor &a = n.inputs[0], &b = n.inputs[1];
    return n.outputs[0].dtype == DType::f32 && a.rank() == 4 && a.shape() == b.shape() &&
           !is_constant(a) && !is_constant(b) && (from_product(a) || from_product(b));
  }

  std::vector<Node*> nodes_;
  std::map<const Node*, std::vector<const Node*>> readers_;
  std::set<const Node*> sums_;
  std::map<Place, size_t> known_;
  std::map<Place, int64_t> group_of_;
  std::vector<size_t> parent_;
};

// ---- ranges

/// Of the values of one group.
struct Seen {
  double low = 0, high = 0;
  std::vector<double> counts;  ///< of sizes up to the largest, in bins of equal width
  double largest() const { return std::max(-low, high); }
};

constexpr size_t kBins = 2048;
constexpr size_t kAtOnce = 64 << 20;  // bytes of values that are looked at together

/// Steps of a type on one side of zero.
double steps_of(const Seen& s) { return s.low < 0 ? 127 : 255; }

/// The size above which this share of the values lies.
double size_at(const Seen& s, double share) {
  double total = 0, sum = 0;
  for (const double c : s.counts) total += c;
  for (size_t k = 0; k < s.counts.size(); ++k)
    if ((sum += s.counts[k]) >= share * total)
      return s.largest() * static_cast<double>(k + 1) / static_cast<double>(kBins);
  return s.largest();
}

/// The range with the least squared error: a twelfth of a squared step inside, the distance
/// outside.
double size_of_least_error(const Seen& s) {
  constexpr int kTried = 128;
  double best = s.largest(), least = INFINITY;
  for (int k = kTried / 8; k <= kTried; ++k) {
    const double range = s.largest() * k / kTried, step = range / steps_of(s);
    double error = 0;
    for (size_t b = 0; b < s.counts.size(); ++b) {
      const double x = s.largest() * (static_cast<double>(b) + 0.5) / static_cast<double>(kBins);
      error += s.counts[b] * (x <= range ? step * step / 12 : (x - range) * (x - range));
    }
    if (error < least) least = error, best = range;
  }
  return best;
}

Grid grid_of(const Seen& s, const QuantizeOptions& options) {
  double range = s.largest();
  if (options.range == QuantizeOptions::Range::percentile)
    range = size_at(s, options.percentile / 100);
  if (options.range == QuantizeOptions::Range::error) range = size_of_least_error(s);
  const double scale = range > 0 ? range / steps_of(s) : 1;
  return {Tensor::scalar(std::max(scale, 1e-30), DType::f32),
          Tensor::scalar(0, s.low < 0 ? DType::i8 : DType::u8)};
}

// ---- the network

class Quantized final : public Module {
 public:
  Quantized(std::shared_ptr<Module> net, const Tensors& samples, const QuantizeOptions& options)
      : Module(Scope::init()), net_(std::move(net)) {
    if (!net_) fail(Error::Kind::usage, {"[quantize] there is no network"});
    if (samples.empty()) fail(Error::Kind::usage, {"[quantize] there are no samples"});
    if (!(options.percentile > 0 && options.percentile <= 100))
      fail(Error::Kind::usage,
           {"[quantize] percentile ", options.percentile, " is not above 0 and at most 100"});
    const Graph graph = recorded(samples[0].shape(), samples[0].dtype());
    const Sites sites(graph);
    if (sites.products.empty())
      fail(Error::Kind::unsupported,
           {"[quantize] the network has no convolution of rank 2 and no matrix product by constant "
            "weights"});
    structure_ = sites.structure();
    for (const auto& [group, seen] : ranges(samples, options))
      grids_[group] = grid_of(seen, options);
    for (const Node* n : sites.products) products_.push_back(product(n, sites));
  }

  Tensor forward(const Tensor& x, Context&) override {
    std::lock_guard lock(mutex_);
    Graph& graph = graphs_[cat({x.dtype(), " ", x.shape()})];
    if (graph.outputs().empty()) graph = in_integers(recorded(x.shape(), x.dtype()));
    return graph.call({x})[0];
  }

 private:
  /// The network for one shape, batch norms in its convolutions and constants computed.
  Graph recorded(const Shape& shape, DType dtype) const {
    NoGrad guard;
    const Graph graph = Graph::trace(
        [&](const Tensors& in) {
          Context ctx = Context::eval();
          return Tensors{(*net_)(in[0], ctx)};
        },
        {zeros(shape, dtype)});
    const Pass list[] = {pass_fold, pass_norm, pass_fold};
    CompileOptions options;
    options.label = "quantize";
    std::lock_guard lock(graph_mutex());
    return run_passes(graph, options, list);
  }

  /// What each group of values reaches, by its number.
  std::map<int64_t, Seen> ranges(const Tensors& samples, const QuantizeOptions& options) const {
    std::map<int64_t, Seen> all;
    look(samples, true, [&](int64_t group, const Tensors& of) {
      const double low = of[0].item(), high = of[1].item();
      if (!std::isfinite(low) || !std::isfinite(high))
        fail(Error::Kind::numeric, {"[quantize] a value inside the network is not finite"});
      Seen& s = all[group];
      s.low = std::min(s.low, low);
      s.high = std::max(s.high, high);
    });
    if (options.range == QuantizeOptions::Range::minmax) return all;
    look(samples, false, [&](int64_t group, const Tensors& of) {
      Seen& s = all[group];
      s.counts.resize(kBins);
      const double bins = s.largest() > 0 ? kBins / s.largest() : 0;
      for (const float v : of[0].to_vector<float>())
        s.counts[std::min(kBins - 1, static_cast<size_t>(std::fabs(v) * bins))] += 1;
    });
    return all;
  }

  /// Runs the network on the samples and calls f(group, results) for each value that becomes
  /// integers: its least and its largest number, or all of them.
  template <typename F>
  void look(const Tensors& samples, bool extremes, F f) const {
    struct Part {
      std::vector<int64_t> groups;
      std::unique_ptr<Program> program;
    };
    std::map<std::string, std::vector<Part>> parts;  // by shape of the samples
    for (const Tensor& x : samples) {
      auto& list = parts[cat({x.dtype(), " ", x.shape()})];
      if (list.empty()) {
        const Graph graph = recorded(x.shape(), x.dtype());
        const Sites sites(graph);
        check_structure(sites);
        Tensors results;
        std::vector<int64_t> groups;
        size_t bytes = 0;
        const auto close = [&] {
          if (results.empty()) return;
          list.push_back({groups, std::make_unique<Program>(Graph(graph.inputs(), results))});
          results.clear();
          groups.clear();
          bytes = 0;
        };
        for (const Tensor& t : sites.values) {
          const auto size = static_cast<size_t>(t.numel()) * sizeof(float);
          if (!extremes && bytes + size > kAtOnce) close();
          bytes += size;
          groups.push_back(sites.group(t));
          Tracing guard;
          if (extremes)
            results.insert(results.end(), {amin(t), amax(t)});
          else
            results.push_back(identity(t));
        }
        close();
      }
      for (const Part& part : list) {
        const Tensors results = (*part.program)({x});
        const size_t each = extremes ? 2 : 1;
        for (size_t k = 0; k < part.groups.size(); ++k)
          f(part.groups[k], Tensors(results.begin() + static_cast<ptrdiff_t>(k * each),
                                    results.begin() + static_cast<ptrdiff_t>((k + 1) * each)));
      }
    }
  }

  void check_structure(const Sites& sites) const {
    if (sites.structure() != structure_)
      fail(Error::Kind::unsupported,
           {"[quantize] the network computes differently for batches of other sizes"});
  }

  Product product(const Node* n, const Sites& sites) const {
    const bool conv = is_op(n, "conv");
    const Tensor w = conv ? n->inputs[1] : transpose(n->inputs[1]);
    const int64_t outs = w.size(0), each = w.numel() / outs;
    const std::vector<float> values = contiguous(w).to_vector<float>();
    const double x_scale = grids_.at(sites.group(n->inputs[0])).scale.item();
    const Node* add = sites.bias_of(n);
    std::vector<float> bias;
    if (add) bias = contiguous(add->inputs[1]).to_vector<float>();
    std::vector<int8_t> q(values.size());
    std::vector<float> scales, bias_scales;
    std::vector<int32_t> bias_q;
    for (int64_t o = 0; o < outs; ++o) {
      const auto row = values.begin() + o * each;
      double largest = 0;
      for (int64_t k = 0; k < each; ++k) largest = std::max<double>(largest, std::fabs(row[k]));
      if (!std::isfinite(largest))
        fail(Error::Kind::numeric, {"[quantize] a weight is not finite", place_of(*n)});
      double scale = largest > 0 ? largest / 127 : 1;
      if (add)  // so that the bias fits 32 bits
        scale = std::max(scale, std::fabs(bias[static_cast<size_t>(o)]) / x_scale / (1 << 30));
      scales.push_back(static_cast<float>(scale));
      for (int64_t k = 0; k < each; ++k)
        q[static_cast<size_t>(o * each + k)] = static_cast<int8_t>(
            std::clamp(std::nearbyint(row[k] / static_cast<double>(scales.back())), -127.0, 127.0));
      if (!add) continue;
      bias_scales.push_back(static_cast<float>(x_scale) * scales.back());
      bias_q.push_back(static_cast<int32_t>(
          std::nearbyint(bias[static_cast<size_t>(o)] / static_cast<double>(bias_scales.back()))));
    }
    Product p{Tensor::from(q, w.shape()),
              Tensor::from(scales, {outs}),
              Tensor::from(std::vector<int8_t>(scales.size(), 0), {outs}),
              {},
              {},
              {}};
    if (add) {
      p.bias = Tensor::from(bias_q, {outs});
      p.bias_scale = Tensor::from(bias_scales, {outs});
      p.bias_zero = Tensor::from(std::vector<int32_t>(scales.size(), 0), {outs});
    }
    return p;
  }

  /// The network with integers at its sites.
  Graph in_integers(const Graph& graph) const {
    const Sites sites(graph);
    check_structure(sites);
    std::map<const Node*, const Product*> of_product, of_bias;
    for (size_t k = 0; k < sites.products.size(); ++k) {
      of_product[sites.products[k]] = &products_[k];
      if (const Node* add = sites.bias_of(sites.products[k])) of_bias[add] = &products_[k];
    }
    std::map<Place, Tensor> numbers;  // of the old graph's values
    return rewrite(graph, [&](const Node& n, const Tensors& in) {
      Tensors inputs = in;
      for (size_t i = 0; i < in.size(); ++i) {
        const int64_t group = sites.group(n.inputs[i]);
        if (group < 0) continue;
        Tensor& t = numbers[place_of_value(n.inputs[i])];
        const Grid& g = grids_.at(group);
        if (!t.defined()) t = dequantize(quantize(in[i], g.scale, g.zero), g.scale, g.zero);
        inputs[i] = t;
      }
      if (const auto at = of_product.find(&n); at != of_product.end()) {
        const Product& p = *at->second;
        const Tensor w = dequantize(p.weight, p.scale, p.zero);
        inputs[1] = is_op(&n, "conv") ? w : transpose(w);
      }
      if (const auto at = of_bias.find(&n); at != of_bias.end()) {
        const Product& p = *at->second;
        const Tensor b = dequantize(p.bias, p.bias_scale, p.bias_zero);
        inputs[1] = b.shape() == in[1].shape() ? b : reshape(b, in[1].shape());
      }
      Node* made = clone(n, inputs);
      Tensors out;
      for (uint32_t k = 0; k < made->outputs.size(); ++k) out.emplace_back(made, k);
      return out;
    });
  }

  std::shared_ptr<Module> net_;
  std::string structure_;
  std::map<int64_t, Grid> grids_;
  std::vector<Product> products_;
  std::mutex mutex_;
  std::map<std::string, Graph> graphs_;  // by type and shape of the input
};

}  // namespace

std::unique_ptr<Module> quantize(std::shared_ptr<Module> net, const Tensors& samples,
                                 const QuantizeOptions& options) {
  return std::make_unique<Quantized>(std::move(net), samples, options);
}

}  // namespace nacre
