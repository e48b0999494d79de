// A batch norm whose numbers never change becomes part of the convolution before it, if its weights
// do not change either: of a Program, that is.
#include <unordered_map>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "ops/op.h"

namespace nacre {
namespace {

Graph run(const Graph& graph, const CompileOptions&) {
  std::unordered_map<const Node*, int> uses;
  for (const Node* n : graph.nodes())
    for (const Tensor& t : n->inputs) ++uses[t.node()];
  for (const Tensor& t : graph.outputs()) ++uses[t.node()];
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (std::string_view(n.op->name) != "batch_norm_infer" || in[0].dtype() != DType::f32)
      return {};
    const Node* conv = in[0].node();
    if (!conv->op || std::string_view(conv->op->name) != "conv" || uses[n.inputs[0].node()] != 1 ||
        !conv->inputs[1].evaluated())
      return {};
    for (size_t i = 1; i < in.size(); ++i)
      if (!in[i].evaluated()) return {};
    const Tensor &x = conv->inputs[0], &kernel = conv->inputs[1];
    double eps = 0;
    if (const AttrValue v = attr_field(*n.op, n.attrs.get(), "eps"); std::get_if<double>(&v))
      eps = std::get<double>(v);
    const Tensor scale = in[1] * rsqrt(in[4] + eps);
    Shape first(kernel.shape().size(), 1), second = first;
    first[0] = second[1] = kernel.size(0);
    const Tensor folded[] = {x, kernel * reshape(scale, first)};
    Tensor y;
    {
      const MadeFor place(*conv);
      y = make(*conv->op, conv->attrs, folded);
    }
    return {y + reshape(in[2] - in[3] * scale, second)};
  });
}

}  // namespace

extern const Pass pass_norm;
const Pass pass_norm = {"norm", run};

}  // namespace nacre
