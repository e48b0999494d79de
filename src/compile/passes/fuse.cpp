// Elementwise nodes of one shape that feed each other become one node, which passes over memory
// once.
//
// Casts of 16-bit floats to f32 run where their results are read, once for each reader: what lies
// in memory is then the 16-bit one.
//
// A unit is a group of nodes that will run as one. Each elementwise node starts as a unit of its
// own and is merged with the units of its inputs, unless something outside lies between them (then
// the merged unit would need its own result).
#include <algorithm>
#include <cstring>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"

namespace nacre {
namespace {

constexpr size_t kLargestGroup = 64;

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

  Graph rebuild() {
    Tracing guard;
    std::vector<char> needed(nodes_.size(), 0);
    for (size_t i = 0; i < nodes_.size(); ++i)
      for (const Tensor& t : nodes_[i]->inputs)
        if (const size_t p = number_.at(t.node()); unit_of_[p] != unit_of_[i]) needed[p] = 1;
    for (const Tensor& t : graph_.outputs()) needed[number_.at(t.node())] = 1;

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
        if (units_[u].nodes.size() > 1)
          emit_group(units_[u], needed, mapped, made);
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
  void emit_group(const Unit& unit, const std::vector<char>& needed, const Map& mapped,
                  std::unordered_map<const Node*, Tensors>& made) {
    Tensors inputs, placeholders, outputs, in;
    std::unordered_map<const Node*, Tensor> body;
    const auto inner = [&](const Tensor& t) {
      if (const auto at = body.find(t.node()); at != body.end()) return at->second;
      const Tensor outer = mapped(t);
      for (size_t k = 0; k < inputs.size(); ++k)
        if (same(inputs[k], outer)) return placeholders[k];
      placeholders.push_back(
          make_placeholder(static_cast<int>(inputs.size()), t.dtype(), t.shape()));
      inputs.push_back(outer);
      return placeholders.back();
    };
    std::vector<const Node*> results;
    for (size_t i : unit.nodes) {
      Node* n = nodes_[i];
      in.clear();
      for (const Tensor& t : n->inputs) in.push_back(inner(t));
      body.emplace(n, Tensor(clone(*n, in), 0));
      if (needed[i]) {
        results.push_back(n);
        outputs.push_back(body.at(n));
      }
    }
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
};

Graph run(const Graph& graph, const CompileOptions&) { return Fuser(graph).run(); }

}  // namespace

extern const Pass pass_fuse;
const Pass pass_fuse = {"fuse", run};

}  // namespace nacre
