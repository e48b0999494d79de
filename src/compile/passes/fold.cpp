// Small computations on constants alone are done once, when the plan is made, and so are ranges and
// windows, which have no inputs. Random ops have their keys as inputs, and a fill is a scalar that
// is expanded, so neither becomes a large constant.
#include <algorithm>

#include "compile/plan.h"
#include "compile/rewrite.h"

namespace nacre {
namespace {

// A larger constant would only take memory.
constexpr size_t kLargest = 1 << 18;        // bytes
constexpr size_t kLargestSource = 1 << 20;  // bytes of the result of an op that has no inputs

/// The most bytes that a result may have: those of the constants it is made of, at least; of
/// weights that are kept as integers, those of the numbers they stand for.
size_t largest(const Node& n, const Tensors& in) {
  if (in.empty()) return kLargestSource;
  size_t bytes = kLargest;
  for (const Tensor& t : in) bytes = std::max(bytes, t.node()->outputs[t.index()].storage->bytes());
  return is_op(&n, "dequantize") ? bytes * sizeof(float) : bytes;
}

/// A view of a constant is a constant in the same memory.
Tensors view_of(const Node& n, const Tensor& x) {
  const Output &from = x.node()->outputs[x.index()], &to = n.outputs[0];
  const auto view = n.op->view(n.attrs.get(), from.shape, from.strides, to.shape);
  if (!view) return {};
  from.storage->retain();
  Tensor t = make_leaf(from.storage.get(), to.dtype, to.shape);
  t.node()->outputs[0].strides = view->strides;
  t.node()->outputs[0].offset = from.offset + view->offset;
  return {t};
}

Graph run_fold(const Graph& graph, const CompileOptions& options) {
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!n.op->pure || n.op->kind == OpKind::control) return {};
    for (const Tensor& t : in)
      if (!t.evaluated()) return {};
    if (n.op->kind == OpKind::view) return in.size() == 1 ? view_of(n, in[0]) : Tensors();
    for (const Output& o : n.outputs)
      if (Operand{o.dtype, o.shape, o.strides}.bytes() > largest(n, in)) return {};
    CompileOptions plain = options;
    plain.passes = false;
    plain.label = "fold";
    Node* c = clone(n, in);
    Tensors outputs;
    for (uint32_t k = 0; k < c->outputs.size(); ++k) outputs.emplace_back(c, k);
    try {
      return run_on(*compile(Graph({}, outputs), {}, {}, plain), {});
    } catch (const Error&) {  // comes again when the plan runs, with the layer and the line
      return {};
    }
  });
}

}  // namespace

extern const Pass pass_fold;
const Pass pass_fold = {"fold", run_fold};

}  // namespace nacre
