// Composites that no backend runs whole become the ops they are made of.
#include "compile/plan.h"
#include "compile/rewrite.h"

namespace nacre {
namespace {

bool stays(const Node& n, const Tensors& in, const CompileOptions& options) {
  if (n.op->kind != OpKind::composite || !n.op->decompose) return true;
  if (options.reference) return n.op->ref != nullptr;
  return has_kernel(n, in, options);
}

Graph run_expand(const Graph& graph, const CompileOptions& options) {
  Graph g = graph;
  for (bool again = true; again;) {
    again = false;
    g = rewrite(g, [&](const Node& n, const Tensors& in) -> Tensors {
      if (stays(n, in, options)) return {};
      again = true;
      Tensors out = n.op->decompose(n.attrs.get(), in);
      for (size_t k = 0; k < out.size(); ++k)
        if (out[k].dtype() != n.outputs[k].dtype || out[k].shape() != n.outputs[k].shape)
          fail(Error::Kind::internal,
               {"[", n.op->name, "] its decomposition gives ", out[k].dtype(), " ", out[k].shape(),
                ", its shape rule ", n.outputs[k].dtype, " ", n.outputs[k].shape});
      return out;
    });
  }
  return g;
}

}  // namespace

extern const Pass pass_expand;
const Pass pass_expand = {"expand", run_expand, false};

}  // namespace nacre
