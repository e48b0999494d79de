// Rules that hold whatever the values are: x * 1, x + 0, casts to the same type, views of views.
#include <cstring>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"

namespace nacre {
namespace {

/// The value of a constant that is the same everywhere; false if it is not one.
bool uniform_constant(const Tensor& t, double& value) {
  const Tensor* at = &t;
  while (!at->evaluated() && at->node()->op && std::strcmp(at->node()->op->name, "expand") == 0)
    at = &at->node()->inputs[0];
  if (!at->evaluated() || at->numel() != 1) return false;
  value = at->item();
  return true;
}

bool is(const Tensor& t, double want) {
  double v;
  return uniform_constant(t, v) && v == want;
}

/// `x`, if it already has the type and shape of the node's output.
Tensors unchanged(const Node& n, const Tensor& x) {
  if (x.dtype() == n.outputs[0].dtype && x.shape() == n.outputs[0].shape) return {x};
  return {};
}

Graph run(const Graph& graph, const CompileOptions&) {
  return rewrite(graph, [](const Node& n, const Tensors& in) -> Tensors {
    const std::string_view op = n.op->name;
    if (op == "identity" || op == "stop_gradient") return {in[0]};
    if (op == "cast" || op == "reshape" || op == "expand") {
      if (Tensors same = unchanged(n, in[0]); !same.empty()) return same;
    }
    if (op == "reshape" && is_op(in[0].node(), "reshape")) {
      Node* c = clone(n, {&in[0].node()->inputs[0], 1});
      return {Tensor(c, 0)};
    }
    if (op == "neg" && is_op(in[0].node(), "neg")) return {in[0].node()->inputs[0]};
    if (op == "mul") {
      if (is(in[1], 1))
        if (Tensors x = unchanged(n, in[0]); !x.empty()) return x;
      if (is(in[0], 1))
        if (Tensors x = unchanged(n, in[1]); !x.empty()) return x;
    }
    if (op == "add") {
      if (is(in[1], 0))
        if (Tensors x = unchanged(n, in[0]); !x.empty()) return x;
      if (is(in[0], 0))
        if (Tensors x = unchanged(n, in[1]); !x.empty()) return x;
    }
    if ((op == "sub" && is(in[1], 0)) || (op == "div" && is(in[1], 1))) return unchanged(n, in[0]);
    if (op == "permute") {
      const Ints dims = std::get<Ints>(attr_field(*n.op, n.attrs.get(), "dims"));
      bool sorted = true;
      for (int64_t d = 0; d < dims.rank(); ++d) sorted = sorted && dims[d] == d;
      if (sorted) return {in[0]};
      if (is_op(in[0].node(), "permute")) {
        const Node* inner = in[0].node();
        const Ints first = std::get<Ints>(attr_field(*inner->op, inner->attrs.get(), "dims"));
        Ints both;
        for (int64_t d : dims) both.push_back(first[d]);
        return {make(*n.op, attrs_from_fields(*n.op, {{"dims", both}}),
                     std::span(&inner->inputs[0], 1))};
      }
    }
    return {};
  });
}

}  // namespace

extern const Pass pass_algebra;
const Pass pass_algebra = {"algebra", run};

}  // namespace nacre
