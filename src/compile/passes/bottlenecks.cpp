// Inverted bottlenecks in inference: a convolution by 1x1 that makes many channels of few, and the
// depthwise convolution that alone reads them, become one node. What lies between, the largest
// tensor of the block, then never lies in memory.
#include "compile/plan.h"
#include "compile/rewrite.h"
#include "ops/nn/blocks.h"

namespace nacre {
namespace {

const ConvBlocksAttrs& attrs_of(const Node& n) {
  return *static_cast<const ConvBlocksAttrs*>(n.attrs.get());
}

Graph run_bottlenecks(const Graph& graph, const CompileOptions& options) {
  auto uses = count_uses(graph);
  const auto plain = [](const ConvBlocksAttrs& a) {
    return !a.plain && !a.training && a.bias && !a.residual;
  };
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!is_op(&n, "conv_blocks") || !is_op(in[0].node(), "conv_blocks") ||
        uses[n.inputs[0].node()] != 1)
      return {};
    const Node& first = *in[0].node();
    const ConvBlocksAttrs &one = attrs_of(first), &two = attrs_of(n);
    const Shape &w1 = first.inputs[1].shape(), &w2 = in[1].shape();
    const Ints ones = {1, 1}, none = {0, 0};
    if (!plain(one) || !plain(two) || one.groups != 1 || two.groups != w2[0] || w2[1] != 1 ||
        w1[2] != 1 || w1[3] != 1 || one.stride != ones || one.pad_low != none ||
        one.pad_high != none)
      return {};
    PointwiseDepthwiseAttrs a;
    static_cast<ConvBlocksAttrs&>(a) = two;
    a.first_swish = one.swish;
    a.first_low = one.low;
    a.first_high = one.high;
    a.macs += one.macs;
    const Tensor all[] = {first.inputs[0], first.inputs[1], first.inputs[2], in[1], in[2]};
    const Tensor y = make(*find_op("pointwise_depthwise"), box(a), all);
    return has_kernel(*y.node(), all, options) ? Tensors{y} : Tensors{};
  });
}

}  // namespace

extern const Pass pass_bottlenecks;
const Pass pass_bottlenecks = {"bottlenecks", run_bottlenecks};

}  // namespace nacre
