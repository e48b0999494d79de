#include "compile/rewrite.h"

namespace nacre {

Graph rewrite(const Graph& graph, const RewriteRule& rule) {
  Tracing guard;
  std::unordered_map<const Node*, Tensors> made;
  const auto mapped = [&](const Tensor& t) {
    const auto at = made.find(t.node());
    return at == made.end() ? t : at->second[t.index()];
  };
  for (Node* n : graph.nodes()) {
    if (!n->op || n->evaluated) continue;
    Tensors in;
    for (const Tensor& t : n->inputs) in.push_back(mapped(t));
    const MadeFor guard_of_place(*n);
    Tensors out = rule(*n, in);
    if (out.empty()) {  // made again even if nothing changed, which keeps the order of all nodes
      Node* c = clone(*n, in);
      for (uint32_t k = 0; k < c->outputs.size(); ++k) out.emplace_back(c, k);
    }
    made.emplace(n, std::move(out));
  }
  Tensors outputs;
  for (const Tensor& t : graph.outputs()) outputs.push_back(mapped(t));
  return Graph(graph.inputs(), std::move(outputs));
}

std::unordered_map<const Node*, int> count_uses(const Graph& graph) {
  std::unordered_map<const Node*, int> uses;
  for (const Node* n : graph.nodes())
    for (const Tensor& t : n->inputs) ++uses[t.node()];
  for (const Tensor& t : graph.outputs()) ++uses[t.node()];
  return uses;
}

OutputUses count_output_uses(const Graph& graph) {
  OutputUses uses;
  for (const Node* n : graph.nodes())
    for (const Tensor& t : n->inputs) ++uses[{t.node(), t.index()}];
  for (const Tensor& t : graph.outputs()) ++uses[{t.node(), t.index()}];
  return uses;
}

Tensor again(const Node& view, const Tensor& x) {
  return make(*view.op, view.attrs, std::span(&x, 1));
}

bool is_op(const Node* n, std::string_view op) {
  return n->op && !n->evaluated && n->op->name == op;
}

bool is_view(const Node* n) {
  return n->op && !n->evaluated && n->op->kind == OpKind::view && n->inputs.size() == 1;
}

bool has_kernel(const Node& n, std::span<const Tensor> inputs, const CompileOptions& options) {
  std::vector<Operand> in, out;
  for (const Tensor& t : inputs)
    in.push_back({t.dtype(), t.shape(), contiguous_strides(t.shape())});
  for (const Output& o : n.outputs) out.push_back({o.dtype, o.shape, contiguous_strides(o.shape)});
  return find_kernel({*n.op, n.attrs.get(), in, out, n.attrs.hash()}, options) != nullptr;
}

}  // namespace nacre
