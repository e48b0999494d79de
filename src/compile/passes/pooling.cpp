// Max pooling in inference: the places of the maxima are not written where nobody reads them, and a
// bias and an activation before it are computed after it, of a quarter of the numbers. Both grow
// with their argument, so that the largest of the results is the result of the largest.
#include <vector>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "nacre/ops.h"
#include "ops/nn/pool.h"

namespace nacre {
namespace {

bool grows(const Node* n) { return is_op(n, "relu") || is_op(n, "tanh") || is_op(n, "sigmoid"); }

/// The operand of a sum that is the same over the whole plane, -1 if none is.
int same_over_planes(const Node& sum) {
  const Shape& y = sum.outputs[0].shape;
  for (int i = 0; i < 2; ++i) {
    const Shape &b = sum.inputs[static_cast<size_t>(i)].shape(),
                &x = sum.inputs[static_cast<size_t>(1 - i)].shape();
    bool same = x == y;
    for (int64_t d = 2; d < y.rank(); ++d) {
      const int64_t at = b.rank() - y.rank() + d;
      same = same && (at < 0 || b[at] == 1);
    }
    if (same) return i;
  }
  return -1;
}

Graph run_pooling(const Graph& graph, const CompileOptions& options) {
  OutputUses uses = count_output_uses(graph);
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!is_op(&n, "max_pool") || uses.contains({&n, 1})) return {};
    const auto& a = *static_cast<const MaxPoolAttrs*>(n.attrs.get());
    Tensor x = in[0];
    std::vector<const Node*> later;           // what is computed afterwards, the last one first
    const Node* before = n.inputs[0].node();  // x as it was before this pass
    while (!may_miss(in[0].shape(), n.outputs[0].shape, a) && uses[{before, 0}] == 1) {
      const int constant = is_op(before, "add") ? same_over_planes(*before) : -1;
      if (!grows(before) && constant < 0) break;
      const size_t from = constant == 0 ? 1 : 0;
      later.push_back(x.node());
      x = x.node()->inputs[from];
      before = before->inputs[from].node();
    }
    const Tensor taken[] = {x};
    Tensor y = make(*find_op("max_pool_values"), n.attrs, taken);
    if (!has_kernel(*y.node(), taken, options)) return {};
    for (auto at = later.rbegin(); at != later.rend(); ++at) {
      Tensors operands((*at)->inputs.begin(), (*at)->inputs.end());
      operands[is_op(*at, "add") && same_over_planes(**at) == 0 ? 1 : 0] = y;
      y = make(*(*at)->op, (*at)->attrs, operands);
    }
    return {y, Tensor()};
  });
}

}  // namespace

extern const Pass pass_pooling;
const Pass pass_pooling = {"pooling", run_pooling};

}  // namespace nacre
