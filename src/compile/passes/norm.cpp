// A batch norm whose numbers never change becomes part of the convolution before it, if its weights
// do not change either: of a Program, that is.

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "ops/op.h"

namespace nacre {
namespace {

Graph run_norm(const Graph& graph, const CompileOptions&) {
  auto uses = count_uses(graph);
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!is_op(&n, "batch_norm_infer") || in[0].dtype() != DType::f32) return {};
    for (size_t i = 1; i < in.size(); ++i)
      if (!in[i].evaluated()) return {};
    // y = conv(x, kernel), or that + bias; nothing else needs either.
    const Node *y = in[0].node(), *before = n.inputs[0].node();
    if (uses[before] != 1) return {};
    Tensor bias;
    if (is_op(y, "add") && y->inputs[1].evaluated()) {
      bias = y->inputs[1];
      y = y->inputs[0].node();
      before = before->inputs[0].node();
      if (uses[before] != 1) return {};
    }
    if (!is_op(y, "conv") || !y->inputs[1].evaluated()) return {};
    const Tensor& kernel = y->inputs[1];
    Shape first(kernel.shape().size(), 1), second = first;
    first[0] = second[1] = kernel.size(0);
    if (bias.defined() && bias.numel() != kernel.size(0)) return {};
    if (bias.defined() && bias.numel() > 1 &&  // a number for each channel, not for each column
        (bias.rank() < kernel.rank() - 1 || bias.size(1 - kernel.rank()) == 1))
      return {};
    const AttrValue eps = attr_field(*n.op, n.attrs.get(), "eps");
    const Tensor scale = in[1] * rsqrt(in[4] + std::get<double>(eps));
    Tensor mean = in[3];
    if (bias.defined()) mean = mean - reshape(bias, mean.shape());
    Tensor product;
    {
      const MadeFor place(*y);
      const Tensor folded[] = {y->inputs[0], kernel * reshape(scale, first)};
      product = make(*y->op, y->attrs, folded);
    }
    return {product + reshape(in[2] - mean * scale, second)};
  });
}

}  // namespace

extern const Pass pass_norm;
const Pass pass_norm = {"norm", run_norm};

}  // namespace nacre
