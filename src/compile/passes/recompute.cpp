// Where the work space of a plan has a limit, values that would wait long for their next use are
// let go and computed again just before it: the activations that the backward pass needs (Chen et
// al., Training deep nets with sublinear memory cost, 2016). At the moment when most bytes are
// held, the value goes that frees most bytes for each second of computing it again, until the rest
// fits. Last of the passes, since it follows the order in which a plan runs.
#include <algorithm>
#include <unordered_map>

#include "compile/plan.h"
#include "graph/node.h"

namespace nacre {
namespace {

constexpr int kMostClones = 64;                // computed again for one value
constexpr int kPatience = 200;                 // values let go without a lower peak
constexpr double kFlops = 1e11, kBytes = 5e9;  // a second; only their ratio matters

/// The graph as a list of steps that can be reordered and repeated.
class Schedule {
 public:
  explicit Schedule(const Graph& graph) : graph_(graph) {
    std::unordered_map<const Node*, int> step_of;
    for (const Node* n : graph.nodes()) {
      if (!n->op || n->evaluated) continue;
      std::vector<int> in;
      for (const Tensor& t : n->inputs) {
        const auto at = step_of.find(t.node());
        in.push_back(at == step_of.end() ? kOutside
                                         : steps_[static_cast<size_t>(at->second)].out +
                                               static_cast<int>(t.index()));
      }
      step_of.emplace(n, add(n, std::move(in)));
      order_.push_back(static_cast<int>(steps_.size()) - 1);
    }
    for (const Tensor& t : graph.outputs()) {
      const auto at = step_of.find(t.node());
      results_.push_back(at == step_of.end() ? kOutside
                                             : steps_[static_cast<size_t>(at->second)].out +
                                                   static_cast<int>(t.index()));
      if (results_.back() != kOutside) value(base_of(results_.back())).result = true;
    }
  }

  /// Until at most so many bytes are held at once, or nothing helps any more.
  void fit(int64_t bytes) {
    int64_t least = INT64_MAX;
    for (int barren = 0; barren < kPatience; ++barren) {
      live();
      if (peak_ <= bytes || !let_go()) return;
      if (peak_ < least) {
        least = peak_;
        barren = 0;
      }
    }
  }

  Graph graph() const {
    std::vector<Tensor> made(values_.size());
    for (const int s : order_) {
      const Step& step = steps_[static_cast<size_t>(s)];
      Tensors in;
      for (size_t i = 0; i < step.in.size(); ++i)
        in.push_back(step.in[i] == kOutside ? step.node->inputs[i]
                                            : made[static_cast<size_t>(step.in[i])]);
      Node* c = clone(*step.node, in);
      for (uint32_t k = 0; k < c->outputs.size(); ++k)
        made[static_cast<size_t>(step.out) + k] = Tensor(c, k);
    }
    Tensors outputs;
    for (size_t i = 0; i < results_.size(); ++i)
      outputs.push_back(results_[i] == kOutside ? graph_.outputs()[i]
                                                : made[static_cast<size_t>(results_[i])]);
    return Graph(graph_.inputs(), std::move(outputs));
  }

 private:
  static constexpr int kOutside = -1;  ///< an input of the graph or a constant
  struct Step {
    const Node* node;
    std::vector<int> in;  ///< values
    int out;              ///< the first of its values
  };
  struct Value {
    int step, base;  ///< base: the value whose memory a view shows; else itself
    int64_t bytes;   ///< 0 for views
    bool result = false;
    int made = 0, last = 0;  ///< positions in the order
  };

  Value& value(int v) { return values_[static_cast<size_t>(v)]; }
  int base_of(int v) { return value(v).base; }
  Step& step(int s) { return steps_[static_cast<size_t>(s)]; }

  int add(const Node* n, std::vector<int> in) {
    const auto s = static_cast<int>(steps_.size());
    const auto first = static_cast<int>(values_.size());
    const bool view = n->op->view && !in.empty();
    for (const Output& o : n->outputs) {
      const auto id = static_cast<int>(values_.size());
      if (view && in[0] != kOutside)
        values_.push_back({s, base_of(in[0]), 0});
      else
        values_.push_back(
            {s, id, view ? 0 : o.shape.numel() * static_cast<int64_t>(size_of(o.dtype))});
    }
    steps_.push_back({n, std::move(in), first});
    return s;
  }

  /// Lifetimes, and the position at which most bytes are held.
  void live() {
    for (int p = 0; p < static_cast<int>(order_.size()); ++p) {
      const Step& s = step(order_[static_cast<size_t>(p)]);
      for (uint32_t k = 0; k < s.node->outputs.size(); ++k) {
        Value& v = value(s.out + static_cast<int>(k));
        v.made = v.last = p;
      }
      for (const int v : s.in)
        if (v != kOutside) value(base_of(v)).last = p;
    }
    std::vector<int64_t> change(order_.size() + 1, 0);
    for (const Value& v : values_) {
      if (v.bytes == 0 || v.result) continue;
      change[static_cast<size_t>(v.made)] += v.bytes;
      change[static_cast<size_t>(v.last) + 1] -= v.bytes;
    }
    int64_t held = 0;
    peak_ = 0;
    for (size_t p = 0; p < order_.size(); ++p) {
      held += change[p];
      if (held <= peak_) continue;
      peak_ = held;
      at_ = static_cast<int>(p);
    }
  }

  static double seconds_of(const Node& n) {
    double bytes = 0;
    for (const Tensor& t : n.inputs)
      bytes += static_cast<double>(t.numel()) * static_cast<double>(size_of(t.dtype()));
    for (const Output& o : n.outputs)
      bytes += static_cast<double>(o.shape.numel()) * static_cast<double>(size_of(o.dtype));
    return 2 * static_cast<double>(macs_of(n)) / kFlops + bytes / kBytes + 1e-6;
  }

  /// What has to be computed again for a value that is wanted at a position, inputs first. False if
  /// that cannot be, or is too much.
  bool again(int v, int position, int gone, std::vector<int>& list, double& seconds) {
    if (v == kOutside) return true;
    const Value& b = value(base_of(v));
    if (base_of(v) != gone && (b.result || b.last >= position)) return true;
    const int s = value(v).step;
    if (std::find(list.begin(), list.end(), s) != list.end()) return true;
    const Node& n = *step(s).node;
    if (!n.op->pure || n.op->kind == OpKind::control) return false;
    for (const int in : step(s).in)
      if (!again(in, position, gone, list, seconds)) return false;
    list.push_back(s);
    seconds += seconds_of(n);
    return list.size() <= kMostClones;
  }

  /// The first position after the peak at which a value, or a view of it, is used; -1 if it is
  /// needed at the peak itself.
  int next_use(int base) {
    for (int p = at_; p < static_cast<int>(order_.size()); ++p)
      for (const int v : step(order_[static_cast<size_t>(p)]).in)
        if (v != kOutside && base_of(v) == base) return p == at_ ? -1 : p;
    return -1;
  }

  /// Lets go of one value over the peak.
  bool let_go() {
    int best = -1, best_use = 0;
    double most = 0;
    std::vector<int> best_list;
    for (int v = 0; v < static_cast<int>(values_.size()); ++v) {
      const Value& b = value(v);
      if (b.bytes < peak_ / 1000 || b.result || b.base != v || b.made >= at_ || b.last <= at_)
        continue;
      const int use = next_use(v);
      if (use < 0) continue;
      std::vector<int> list;
      double seconds = 0;
      // Views that are used later stand for the value.
      bool possible = again(v, use, v, list, seconds);
      for (int p = use; possible && p <= b.last; ++p)
        for (const int in : step(order_[static_cast<size_t>(p)]).in)
          if (possible && in != kOutside && base_of(in) == v && value(in).made < use)
            possible = again(in, use, v, list, seconds);
      if (!possible || static_cast<double>(b.bytes) / seconds <= most) continue;
      most = static_cast<double>(b.bytes) / seconds;
      best = v;
      best_use = use;
      best_list = std::move(list);
    }
    if (best < 0) return false;
    std::unordered_map<int, int> replaced;  // values that were computed again
    const auto now = [&](int v) {
      const auto at = replaced.find(v);
      return at == replaced.end() ? v : at->second;
    };
    std::vector<int> clones;
    for (const int s : best_list) {
      std::vector<int> in;
      for (const int v : step(s).in) in.push_back(now(v));
      const Node* n = step(s).node;
      const int from = step(s).out, c = add(n, std::move(in));
      for (uint32_t k = 0; k < n->outputs.size(); ++k)
        replaced[from + static_cast<int>(k)] = step(c).out + static_cast<int>(k);
      clones.push_back(c);
    }
    for (size_t p = static_cast<size_t>(best_use); p < order_.size(); ++p) {
      Step& s = step(order_[p]);
      for (int& v : s.in)
        if (v != kOutside && base_of(v) == best) v = now(v);
      if (s.node->op->view && !s.in.empty() && s.in[0] != kOutside)
        for (uint32_t k = 0; k < s.node->outputs.size(); ++k)
          value(s.out + static_cast<int>(k)).base = base_of(s.in[0]);
    }
    order_.insert(order_.begin() + best_use, clones.begin(), clones.end());
    return true;
  }

  const Graph& graph_;
  std::vector<Step> steps_;
  std::vector<Value> values_;
  std::vector<int> order_;    ///< steps as they will run
  std::vector<int> results_;  ///< values
  int64_t peak_ = 0;
  int at_ = 0;
};

Graph run_recompute(const Graph& graph, const CompileOptions& options) {
  if (options.memory_target == 0) return graph;
  Tracing guard;
  Schedule schedule(graph);
  schedule.fit(static_cast<int64_t>(options.memory_target));
  return schedule.graph();
}

}  // namespace

extern const Pass pass_recompute;
const Pass pass_recompute = {"recompute", run_recompute};

}  // namespace nacre
