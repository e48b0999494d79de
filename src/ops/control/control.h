// What ops with subgraphs share.
#pragma once

#include <functional>

#include "nacre/graph.h"
#include "ops/op.h"

namespace nacre {

/// The graph with unused inputs like `extra` inserted at position `at`.
Graph with_extra_inputs(const Graph& g, size_t at, const Tensors& extra);

/// The function (inputs of g, gradients of its floating outputs) -> gradients of its floating
/// inputs.
std::function<Tensors(const Tensors&)> vjp_of_graph(const std::shared_ptr<const Graph>& g,
                                                    size_t inputs);

/// Shape rule: the graph takes these inputs of the node, given as (type, shape).
void check_takes(const Infer& in, const Graph& g,
                 const std::vector<std::pair<DType, Shape>>& inputs);

/// Appends the gradients of the floating outputs of the node, as vjp_of_graph takes them.
void append_dys(const Vjp& v, const Graph& g, Tensors& to);

}  // namespace nacre
