// Messages along the edges of a graph are added up without being written down.
//
// index_add(base, to, index_select(x, from) * weight) with one weight for each entry becomes
// edge_sum(base, x, to, from, weight): the rows of all edges, which may be many times as large as
// x, never lie in memory. The gradient of x has the same form with `to` and `from` exchanged.

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

/// `n` works on the rows of its first input.
bool on_rows(const Node* n, std::string_view op) {
  return is_op(n, op) && std::get<int64_t>(attr_field(*n->op, n->attrs.get(), "dim")) == 0;
}

/// One number for each entry of the index, the same for the whole row.
bool one_for_each(const Tensor& weight, const Shape& index, const Shape& rows) {
  Shape want = index;
  while (want.rank() < rows.rank()) want.push_back(1);
  return weight.shape() == want && weight.numel() == index.numel();
}

Graph run_edges(const Graph& graph, const CompileOptions& options) {
  static const OpDef* edge_sum = find_op("edge_sum");
  auto uses = count_uses(graph);
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!on_rows(&n, "index_add")) return {};
    const Shape &index = in[1].shape(), &rows = in[2].shape();
    Tensor sent = in[2], weight;
    if (is_op(sent.node(), "mul") && uses[n.inputs[2].node()] == 1) {
      const auto& factors = in[2].node()->inputs;
      for (size_t i = 0; i < 2 && !weight.defined(); ++i)
        if (on_rows(factors[i].node(), "index_select") && factors[i].shape() == rows &&
            one_for_each(factors[1 - i], index, rows)) {
          sent = factors[i];
          weight = factors[1 - i];
        }
    }
    if (!on_rows(sent.node(), "index_select")) return {};
    const Tensor &x = sent.node()->inputs[0], &from = sent.node()->inputs[1];
    if (from.shape() != index || x.rank() != in[0].rank() || x.dtype() != n.outputs[0].dtype)
      return {};
    const auto flat = [](const Tensor& t) { return t.rank() == 1 ? t : reshape(t, {-1}); };
    Tensors edges = {in[0], x, flat(in[1]), flat(from)};
    if (weight.defined()) edges.push_back(flat(weight));
    const Tensor y = make(*edge_sum, {}, edges);
    return has_kernel(*y.node(), edges, options) ? Tensors{y} : Tensors{};
  });
}

}  // namespace

extern const Pass pass_edges;
const Pass pass_edges = {"edges", run_edges};

}  // namespace nacre
