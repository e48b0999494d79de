// Building a changed copy of a graph.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "compile/plan.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/graph.h"

namespace nacre {

/// What a rule makes of a node whose inputs are already rewritten: one tensor for each output, or
/// nothing to keep it.
using RewriteRule = std::function<Tensors(const Node& node, const Tensors& inputs)>;

/// The graph with `rule` applied to every node, inputs first. Nodes that nothing needs any more are
/// left out.
Graph rewrite(const Graph& graph, const RewriteRule& rule);

/// How often the outputs of each node are inputs of others or outputs of the graph.
std::unordered_map<const Node*, int> count_uses(const Graph& graph);

/// The same of each single output: a node and its number.
using OutputUses = std::map<std::pair<const Node*, uint32_t>, int>;
OutputUses count_output_uses(const Graph& graph);

/// A view of something else.
Tensor again(const Node& view, const Tensor& x);

/// True for a node of this op that is to be computed.
bool is_op(const Node* n, std::string_view op);
/// True for a pending view of one tensor.
bool is_view(const Node* n);

/// The attribute of that name; Error(internal) if the op has none.
template <typename T>
T attr(const Node& n, std::string_view name) {
  return std::get<T>(attr_field(*n.op, n.attrs.get(), name));
}

/// True if a backend has a kernel for the node on these inputs, without gaps.
bool has_kernel(const Node& n, std::span<const Tensor> inputs, const CompileOptions& options);

}  // namespace nacre
