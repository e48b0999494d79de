// Small computations on constants alone are done once, when the plan is made, and so are ranges and
// windows, which have no inputs. Random ops have their keys as inputs, and a fill is a scalar that
// is expanded, so neither becomes a large constant.
#include "compile/plan.h"
#include "compile/rewrite.h"

namespace nacre {
namespace {

// A larger constant would only take memory.
constexpr int64_t kLargest = 1 << 16;       // elements
constexpr size_t kLargestSource = 1 << 20;  // bytes of the result of an op that has no inputs

Graph run(const Graph& graph, const CompileOptions& options) {
  return rewrite(graph, [&](const Node& n, const Tensors& in) -> Tensors {
    if (!n.op->pure || n.op->kind == OpKind::control || n.op->kind == OpKind::view) return {};
    for (const Tensor& t : in)
      if (!t.evaluated()) return {};
    for (const Output& o : n.outputs)
      if (in.empty() ? Operand{o.dtype, o.shape, o.strides}.bytes() > kLargestSource
                     : o.shape.numel() > kLargest)
        return {};
    CompileOptions plain = options;
    plain.passes = false;
    plain.label = "fold";
    Node* c = clone(n, in);
    Tensors outputs;
    for (uint32_t k = 0; k < c->outputs.size(); ++k) outputs.emplace_back(c, k);
    const auto plan = compile(Graph({}, outputs), {}, {}, plain);
    std::vector<Storage*> blocks;
    std::vector<void*> pointers;
    for (size_t bytes : plan->output_bytes) {
      blocks.push_back(Storage::allocate(bytes));
      pointers.push_back(blocks.back()->data());
    }
    Tensors result;
    std::vector<RefPtr<Storage>> owned;
    for (Storage* s : blocks) owned.push_back(RefPtr<Storage>::adopt(s));
    try {
      plan->run({}, pointers);
    } catch (const Error&) {  // comes again when the plan runs, with the layer and the line
      return {};
    }
    for (const Plan::Result& r : plan->results) {
      if (r.place != Plan::Place::output) return {};
      Storage* s = owned[r.index].get();
      s->retain();
      Tensor t = make_leaf(s, r.dtype, r.shape);
      t.node()->outputs[0].strides = r.strides;
      t.node()->outputs[0].offset = r.offset;
      result.push_back(std::move(t));
    }
    return result;
  });
}

}  // namespace

extern const Pass pass_fold;
const Pass pass_fold = {"fold", run};

}  // namespace nacre
