// Elementwise nodes of one shape that feed each other become one node, which passes over memory
// once.
//
// Casts of 16-bit floats to f32 run where their results are read, once for each reader: what lies
// in memory is then the 16-bit one.
//
// A unit is a group of nodes that will run as one. Each elementwise node starts as a unit of its
// own and is merged with the units of its inputs, unless something outside lies between them (then
// the merged unit would need its own result).
//
// What only other units read of a unit is not stored but computed again in each of them, where that
// costs less than writing and reading it: the sigmoid that SiLU and its gradient share, for one.
#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <unordered_set>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"

namespace nacre {
namespace {

constexpr size_t kLargestGroup = 64;
constexpr double kCyclesPerByte = 0.3;  // of reading or writing memory
constexpr int64_t kInCaches = 1 << 15;  // values of so many entries cost less

/// Cycles an entry takes; infinite for what is not to be computed twice.
double cost(const Node& n) {
  const auto one_of = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* x) { return is_op(&n, x); });
  };
  if (one_of({"add", "sub", "mul", "neg", "abs", "square", "relu", "maximum", "minimum", "where",
              "cast", "sign", "eq", "ne", "lt", "le", "gt", "ge"}))
    return 0.25;
  if (one_of({"div", "sqrt", "reciprocal"})) return 1;
  if (one_of({"exp", "sigmoid", "tanh"})) return 2;
  if (one_of({"erf", "erfc"})) return 3;
  return std::numeric_limits<double>::infinity();
}

struct Unit {
  std::vector<size_t> nodes;
  size_t first = 0;  // smallest node number in it
};

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(widen_at_readers(graph)), nodes_(graph_.nodes()) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      number_[nodes_[i]] = i;
      unit_of_.push_back(i);
      units_.push_back({{i}, i});
    }
  }

  Graph run() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!fusable(nodes_[i]) || widens(nodes_[i])) continue;
      for (const Tensor& t : nodes_[i]->inputs) {
        const size_t p = number_.at(t.node());
        if (fusable(nodes_[p]) && nodes_[p]->outputs[0].shape == nodes_[i]->outputs[0].shape)
          merge(unit_of_[i], unit_of_[p]);
      }
    }
    find_readers();
    for (size_t u = 0; u < units_.size(); ++u) compute_again(u);
    return rebuild();
  }

 private:
  static bool fusable(const Node* n) {
    return n->op && !n->evaluated && n->op->kind == OpKind::elementwise &&
           n->outputs[0].shape.numel() > 0;
  }

  static bool widens(const Node* n) {
    return is_op(n, "cast") && n->outputs[0].dtype == DType::f32 &&
           size_of(n->inputs[0].dtype()) == 2;
  }

  /// The graph with a cast of its own for each elementwise reader of a widened value.
  static Graph widen_at_readers(const Graph& graph) {
    const auto nodes = graph.nodes();
    if (std::none_of(nodes.begin(), nodes.end(), widens)) return graph;
    return rewrite(graph, [](const Node& n, const Tensors& in) -> Tensors {
      if (!fusable(&n)) return {};
      Tensors own = in;
      for (size_t i = 0; i < own.size(); ++i) {
        if (!widens(in[i].node()) || in[i].shape() != n.outputs[0].shape) continue;
        const MadeFor place(*in[i].node());
        own[i] = Tensor(clone(*in[i].node(), in[i].node()->inputs), 0);
        for (size_t k = 0; k < i; ++k)
          if (same(in[k], in[i])) own[i] = own[k];
      }
      return {Tensor(clone(n, own), 0)};
    });
  }

  /// True if some node of unit `from` needs a result of unit `a` or `b` through nodes outside both.
  bool reaches(size_t from, size_t a, size_t b) {
    const size_t oldest = std::min(units_[a].first, units_[b].first);
    ++stamp_;
    seen_.resize(units_.size(), 0);
    std::vector<size_t> stack = {from};
    seen_[from] = stamp_;
    while (!stack.empty()) {
      const size_t u = stack.back();
      stack.pop_back();
      for (size_t i : units_[u].nodes)
        for (const Tensor& t : nodes_[i]->inputs) {
          const size_t v = unit_of_[number_.at(t.node())];
          if (v == a || v == b) return true;
          if (seen_[v] == stamp_ || newest(v) < oldest) continue;
          seen_[v] = stamp_;
          stack.push_back(v);
        }
    }
    return false;
  }

  size_t newest(size_t u) const { return units_[u].nodes.back(); }

  void merge(size_t a, size_t b) {
    if (a == b || units_[a].nodes.size() + units_[b].nodes.size() > kLargestGroup) return;
    for (size_t u : {a, b})
      for (size_t i : units_[u].nodes)
        for (const Tensor& t : nodes_[i]->inputs) {
          const size_t v = unit_of_[number_.at(t.node())];
          if (v != a && v != b && reaches(v, a, b)) return;
        }
    for (size_t i : units_[b].nodes) unit_of_[i] = a;
    auto& nodes = units_[a].nodes;
    nodes.insert(nodes.end(), units_[b].nodes.begin(), units_[b].nodes.end());
    std::sort(nodes.begin(), nodes.end());
    units_[a].first = nodes.front();
    units_[b].nodes.clear();
  }

  void find_readers() {
    readers_.resize(nodes_.size());
    reads_.resize(units_.size());
    stays_.resize(nodes_.size(), 0);
    again_.resize(nodes_.size(), 0);
    for (const Tensor& t : graph_.outputs()) stays_[number_.at(t.node())] = 1;
    for (size_t i = 0; i < nodes_.size(); ++i)
      for (const Tensor& t : nodes_[i]->inputs) {
        const size_t p = number_.at(t.node());
        if (unit_of_[p] == unit_of_[i]) continue;
        add_reader(p, unit_of_[i]);
        if (!fusable(nodes_[i]) || !same_shape(p, i)) stays_[p] = 1;
      }
  }

  void add_reader(size_t node, size_t unit) {
    readers_[node].insert(unit);
    reads_[unit].insert(node);
  }

  bool same_shape(size_t a, size_t b) const {
    return nodes_[a]->outputs[0].shape == nodes_[b]->outputs[0].shape;
  }

  double bytes(size_t node) const {
    return static_cast<double>(size_of(nodes_[node]->outputs[0].dtype));  // of an entry
  }

  /// Whether a value lies in memory for others than its own unit.
  bool stored(size_t node) const {
    return stays_[node] || (!readers_[node].empty() && !again_[node]);
  }

  /// Of a unit, what its stored results need. `gone`: results that are not to be stored.
  std::unordered_set<size_t> live(const Unit& unit, const std::set<size_t>& gone) const {
    std::unordered_set<size_t> list;
    for (size_t k = unit.nodes.size(); k-- > 0;) {
      const size_t i = unit.nodes[k];
      if (!(stored(i) && !gone.count(i)) && !list.count(i)) continue;
      list.insert(i);
      for (const Tensor& t : nodes_[i]->inputs)
        if (const size_t p = number_.at(t.node()); unit_of_[p] == unit_of_[i]) list.insert(p);
    }
    return list;
  }

  /// Marks the results of a unit that only units of the same shape read, if those had better
  /// compute them from what they read besides, or from few other values.
  void compute_again(size_t unit) {
    const Unit& a = units_[unit];
    std::set<size_t> gone, more;  // results not stored, values read instead
    std::set<size_t> readers;
    for (size_t i : a.nodes) {
      if (!fusable(nodes_[i]) || nodes_[i]->outputs[0].shape.numel() < kInCaches) return;
      if (stays_[i] || readers_[i].empty()) continue;
      gone.insert(i);
      readers.insert(readers_[i].begin(), readers_[i].end());
    }
    if (gone.empty()) return;
    const auto kept = live(a, gone);
    double saved = 0, cycles = 0, held = 0;
    for (size_t i : gone) saved += bytes(i), held += bytes(i);
    std::vector<std::pair<size_t, size_t>> further;  // values and who would read them too
    for (size_t b : readers) {
      std::set<size_t> repeated, leaves;
      std::vector<size_t> stack;
      for (size_t i : reads_[b])
        if (gone.count(i)) stack.push_back(i), saved += bytes(i);
      while (!stack.empty()) {
        const size_t i = stack.back();
        stack.pop_back();
        if (!repeated.insert(i).second) continue;
        if (unit_of_[i] != unit || kept.count(i)) cycles += cost(*nodes_[i]);
        for (const Tensor& t : nodes_[i]->inputs) {
          const size_t p = number_.at(t.node());
          if (!gone.count(p) && reads_[b].count(p)) continue;
          if (unit_of_[p] == unit || !stored(p))
            stack.push_back(p);
          else if (same_shape(p, i))
            leaves.insert(p);
        }
      }
      if (units_[b].nodes.size() + repeated.size() > kLargestGroup) return;
      for (size_t p : leaves) {
        saved -= bytes(p);
        more.insert(p);
        further.emplace_back(p, b);
      }
    }
    for (size_t p : more) held -= bytes(p);
    if (held < 0 || cycles >= kCyclesPerByte * saved) return;
    for (size_t i : gone) again_[i] = 1;
    for (const auto& [node, reader] : further) add_reader(node, reader);
  }

  Graph rebuild() {
    Tracing guard;

    std::unordered_map<const Node*, Tensors> made;
    const auto mapped = [&](const Tensor& t) {
      const auto at = made.find(t.node());
      return at == made.end() ? t : at->second[t.index()];
    };
    // Units in an order in which inputs come first.
    std::vector<char> state(units_.size(), 0);
    std::vector<size_t> stack;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      stack.push_back(unit_of_[i]);
      while (!stack.empty()) {
        const size_t u = stack.back();
        if (state[u] == 2) {
          stack.pop_back();
          continue;
        }
        if (state[u] == 0) {
          state[u] = 1;
          for (size_t n : units_[u].nodes)
            for (const Tensor& t : nodes_[n]->inputs)
              if (const size_t v = unit_of_[number_.at(t.node())]; v != u && state[v] == 0)
                stack.push_back(v);
          continue;
        }
        state[u] = 2;
        stack.pop_back();
        const auto& reads = reads_[u];
        if (units_[u].nodes.size() > 1 ||
            std::any_of(reads.begin(), reads.end(), [&](size_t i) { return again_[i]; }))
          emit_group(units_[u], mapped, made);
        else
          emit_single(nodes_[units_[u].nodes[0]], mapped, made);
      }
    }
    Tensors outputs;
    for (const Tensor& t : graph_.outputs()) outputs.push_back(mapped(t));
    return Graph(graph_.inputs(), std::move(outputs));
  }

  template <typename Map>
  void emit_single(Node* n, const Map& mapped, std::unordered_map<const Node*, Tensors>& made) {
    if (!n->op || n->evaluated) return;
    Tensors in, out;
    for (const Tensor& t : n->inputs) in.push_back(mapped(t));
    Node* c = clone(*n, in);
    for (uint32_t k = 0; k < c->outputs.size(); ++k) out.emplace_back(c, k);
    made.emplace(n, std::move(out));
  }

  template <typename Map>
  void emit_group(const Unit& unit, const Map& mapped,
                  std::unordered_map<const Node*, Tensors>& made) {
    Tensors inputs, placeholders, outputs;
    std::unordered_map<const Node*, Tensor> body;
    const size_t own = unit_of_[unit.nodes[0]];
    std::function<Tensor(const Tensor&)> inner;
    const auto copied = [&](const Node* n) {
      Tensors in;
      for (const Tensor& t : n->inputs) in.push_back(inner(t));
      return body.emplace(n, Tensor(clone(*n, in), 0)).first->second;
    };
    inner = [&](const Tensor& t) {
      if (const auto at = body.find(t.node()); at != body.end()) return at->second;
      const size_t i = number_.at(t.node());
      if (unit_of_[i] == own || !stored(i)) return copied(t.node());
      const Tensor outer = mapped(t);
      for (size_t k = 0; k < inputs.size(); ++k)
        if (same(inputs[k], outer)) return placeholders[k];
      placeholders.push_back(
          make_placeholder(static_cast<int>(inputs.size()), t.dtype(), t.shape()));
      inputs.push_back(outer);
      return placeholders.back();
    };
    std::vector<const Node*> results;
    const auto kept = live(unit, {});
    for (size_t i : unit.nodes) {
      if (!kept.count(i)) continue;
      const Tensor value = inner(Tensor(nodes_[i], 0));
      if (stored(i)) {
        results.push_back(nodes_[i]);
        outputs.push_back(value);
      }
    }
    if (outputs.empty()) return;
    static const OpDef* fused = find_op("fused");
    const Attrs attrs =
        attrs_from_fields(*fused, {{"body", std::make_shared<const Graph>(placeholders, outputs)}});
    const MadeFor last(*nodes_[unit.nodes.back()]);
    const Tensors out = make_all(*fused, attrs, inputs);
    for (size_t k = 0; k < results.size(); ++k) made.emplace(results[k], Tensors{out[k]});
  }

  const Graph graph_;
  std::vector<Node*> nodes_;
  std::unordered_map<const Node*, size_t> number_;
  std::vector<size_t> unit_of_;
  std::vector<Unit> units_;
  std::vector<uint64_t> seen_;
  uint64_t stamp_ = 0;
  // Of nodes: the other units that read it; whether something must find it in memory; whether its
  // readers compute it again. Of units: what they read of others.
  std::vector<std::set<size_t>> readers_, reads_;
  std::vector<char> stays_, again_;
};

Graph run_fuse(const Graph& graph, const CompileOptions&) { return Fuser(graph).run(); }

}  // namespace

extern const Pass pass_fuse;
const Pass pass_fuse = {"fuse", run_fuse};

}  // namespace nacre
