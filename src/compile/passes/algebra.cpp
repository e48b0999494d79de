// Rules that hold whatever the values are: x * 1, x + 0, casts to the same type, views of views.
#include <algorithm>
#include <cstring>
#include <vector>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "nacre/ops.h"

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
  double v = 0;
  return uniform_constant(t, v) && v == want;
}

/// `x`, if it already has the type and shape of the node's output.
Tensors unchanged(const Node& n, const Tensor& x) {
  if (x.dtype() == n.outputs[0].dtype && x.shape() == n.outputs[0].shape) return {x};
  return {};
}

/// A tensor with zeros before and after it along one dimension, as the gradient of a slice is.
struct Padded {
  Tensor x;
  int64_t low = 0, high = 0, dim = -1;
};

/// Adds the terms of a sum that are such tensors; false if another term is among them.
bool collect(const Tensor& t, std::vector<Padded>& terms) {
  if (terms.size() > 64) return false;
  if (is_op(t.node(), "add") && t.node()->inputs[0].shape() == t.shape() &&
      t.node()->inputs[1].shape() == t.shape())
    return collect(t.node()->inputs[0], terms) && collect(t.node()->inputs[1], terms);
  if (!is_op(t.node(), "pad")) return false;
  const Node& n = *t.node();
  const auto attr = [&](const char* name) { return attr_field(*n.op, n.attrs.get(), name); };
  if (std::get<std::string>(attr("mode")) != "constant" ||
      (n.inputs.size() > 1 && !is(n.inputs[1], 0)))
    return false;
  const Ints low = std::get<Ints>(attr("low")), high = std::get<Ints>(attr("high"));
  Padded p{n.inputs[0]};
  for (int64_t d = 0; d < low.rank(); ++d) {
    if (low[d] == 0 && high[d] == 0) continue;
    if (p.dim >= 0 || low[d] < 0 || high[d] < 0) return false;
    p.dim = d;
    p.low = low[d];
    p.high = high[d];
  }
  if (p.dim < 0) return false;
  terms.push_back(p);
  return true;
}

/// Parts that lie one after the other, each padded to the whole: their sum is what they are joined.
Tensor joined(const Tensor& sum) {
  std::vector<Padded> terms;
  if (!collect(sum, terms)) return {};
  std::sort(terms.begin(), terms.end(),
            [](const Padded& a, const Padded& b) { return a.low < b.low; });
  Tensors parts;
  int64_t end = 0;
  for (const Padded& p : terms) {
    if (p.dim != terms[0].dim || p.low != end) return {};
    end += p.x.size(p.dim);
    parts.push_back(p.x);
  }
  return end == sum.size(terms[0].dim) ? concat(parts, terms[0].dim) : Tensor();
}

Graph run_algebra(const Graph& graph, const CompileOptions&) {
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
      if (const Tensor sum(clone(n, in), 0);
          is_op(in[0].node(), "pad") || is_op(in[1].node(), "pad"))
        if (const Tensor y = joined(sum); y.defined()) return {y};
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
const Pass pass_algebra = {"algebra", run_algebra};

}  // namespace nacre
