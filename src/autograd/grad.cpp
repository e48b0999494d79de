#include "nacre/autograd.h"

#include <unordered_map>
#include <unordered_set>

#include "ops/op.h"

namespace nacre {

Tensor Vjp::dy(size_t k) const {
  if (dy_[k].defined()) return dy_[k];
  const Output& o = node_->outputs[k];
  return zeros(o.shape, o.dtype);
}

namespace {

Tensors backward(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents,
                 bool stop_at_inputs);

/// Differentiates a composite through its decomposition on the same inputs.
void vjp_of_decomposition(Vjp& v, Node* n, const std::vector<Tensor>& dy) {
  Tensors in(n->inputs.begin(), n->inputs.end());
  // Fresh handles on the inputs, so that gradients stop there even if one input is computed from
  // another.
  Tensors at;
  for (const Tensor& t : in) at.push_back(is_float(t.dtype()) ? identity(t) : t);
  const Tensors out = n->op->decompose(n->attrs.get(), at);
  Tensors wanted;
  std::vector<size_t> where;
  for (size_t i = 0; i < in.size(); ++i)
    if (v.wants(i) && is_float(in[i].dtype())) {
      wanted.push_back(at[i]);
      where.push_back(i);
    }
  Tensors outputs, cotangents;
  for (size_t k = 0; k < out.size(); ++k)
    if (dy[k].defined()) {
      outputs.push_back(out[k]);
      cotangents.push_back(dy[k]);
    }
  const Tensors g = backward(outputs, wanted, cotangents, true);
  for (size_t j = 0; j < where.size(); ++j) v.dx(where[j]) = g[j];
}

/// Nodes below the outputs, inputs first. Unlike topological() it enters evaluated nodes, and may
/// stop at some nodes.
std::vector<Node*> ancestry(const Tensors& roots, std::unordered_map<Node*, size_t>& position,
                            const std::unordered_set<Node*>& stop) {
  std::vector<Node*> order;
  std::vector<std::pair<Node*, size_t>> stack;
  constexpr size_t open = SIZE_MAX;
  for (const Tensor& r : roots) {
    if (!position.emplace(r.node(), open).second) continue;
    stack.emplace_back(r.node(), 0);
    while (!stack.empty()) {
      auto& [n, next] = stack.back();
      if (next < n->inputs.size() && !stop.count(n)) {
        Node* child = n->inputs[next++].node();
        if (position.emplace(child, open).second) stack.emplace_back(child, 0);
      } else {
        position[n] = order.size();
        order.push_back(n);
        stack.pop_back();
      }
    }
  }
  return order;
}

Tensors backward(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents,
                 bool stop_at_inputs) {
  Differentiating guard;
  std::unordered_map<Node*, size_t> position;
  std::unordered_set<Node*> targets;
  for (const Tensor& t : inputs) {
    if (!t.defined()) fail(Error::Kind::shape, {"[grad] an input is undefined", where()});
    targets.insert(t.node());
  }
  const std::vector<Node*> order =
      ancestry(outputs, position, stop_at_inputs ? targets : std::unordered_set<Node*>());
  std::vector<char> wanted(order.size(), 0);
  for (size_t i = 0; i < order.size(); ++i) {
    wanted[i] = targets.count(order[i]) != 0;
    if (stop_at_inputs && wanted[i]) continue;
    for (const Tensor& in : order[i]->inputs) wanted[i] |= wanted[position[in.node()]];
  }
  std::vector<std::vector<Tensor>> dy(order.size());
  const auto accumulate = [&](const Tensor& t, Tensor g) {
    auto& list = dy[position[t.node()]];
    if (list.empty()) list.resize(t.node()->outputs.size());
    Tensor& slot = list[t.index()];
    slot = slot.defined() ? slot + g : std::move(g);
  };
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!cotangents[k].defined() || !position.count(outputs[k].node())) continue;
    if (cotangents[k].shape() != outputs[k].shape())
      fail(Error::Kind::shape, {"[vjp] cotangent ", k, " has shape ", cotangents[k].shape(),
                                ", its output has ", outputs[k].shape(), where()});
    accumulate(outputs[k], cotangents[k]);
  }
  for (size_t i = order.size(); i-- > 0;) {
    Node* n = order[i];
    if (!wanted[i] || dy[i].empty()) continue;
    n->consumed = true;
    if (!n->op || n->inputs.size() == 0 || (stop_at_inputs && targets.count(n))) continue;
    std::vector<bool> wants(n->inputs.size());
    bool any = false;
    for (size_t j = 0; j < n->inputs.size(); ++j) {
      const Tensor& in = n->inputs[j];
      wants[j] = wanted[position[in.node()]] && is_float(in.dtype());
      any = any || wants[j];
    }
    if (!any) continue;
    Vjp v(Tensor(n, 0), n->inputs, dy[i], wants);
    std::vector<Tensor> dx;
    if (n->op->vjp) {
      dx = run_vjp(*n->op, v);
    } else if (n->op->decompose) {
      vjp_of_decomposition(v, n, dy[i]);
      for (size_t j = 0; j < n->inputs.size(); ++j) dx.push_back(v.dx(j));
    } else {
      continue;  // no gradient: integers, comparisons, sorting positions
    }
    const bool targets_here = targets.count(n) != 0;
    for (size_t j = 0; j < n->inputs.size(); ++j) {
      if (!wants[j] || !dx[j].defined()) continue;
      const Tensor& in = n->inputs[j];
      Tensor g = std::move(dx[j]);
      if (g.dtype() != in.dtype()) g = cast(g, in.dtype());
      if (n->op->kind == OpKind::elementwise) g = sum_to_shape(g, in.shape());
      if (g.shape() != in.shape())
        fail(Error::Kind::internal, {"[", n->op->name, "] its gradient rule gave shape ", g.shape(),
                                     " for input ", j, " of shape ", in.shape()});
      accumulate(in, std::move(g));
    }
    if (!targets_here) dy[i].clear();
  }
  Tensors out;
  for (const Tensor& t : inputs) {
    const auto at = position.find(t.node());
    Tensor g;
    if (at != position.end() && !dy[at->second].empty()) g = dy[at->second][t.index()];
    out.push_back(g.defined() ? g : zeros(t.shape(), t.dtype()));
  }
  return out;
}

}  // namespace

Tensors vjp(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents) {
  if (cotangents.size() != outputs.size())
    fail(Error::Kind::shape,
         {"[vjp] ", outputs.size(), " outputs but ", cotangents.size(), " cotangents", where()});
  return backward(outputs, inputs, cotangents, false);
}

Tensors grad(const Tensor& output, const Tensors& inputs) {
  if (!output.defined()) fail(Error::Kind::shape, {"[grad] the output is undefined", where()});
  if (output.numel() != 1)
    fail(Error::Kind::shape, {"[grad] the output has shape ", output.shape(),
                              ", a scalar is needed (use sum or mean)", where()});
  if (!is_float(output.dtype()))
    fail(Error::Kind::shape,
         {"[grad] the output has type ", output.dtype(), ", a floating type is needed", where()});
  if (output.evaluated() && output.node()->op && output.node()->inputs.size() == 0)
    fail(Error::Kind::shape, {"[grad] the graph of this output is gone: it was evaluated before "
                              "grad() was called. Call grad() first, or "
                              "make what you differentiate by a leaf with as_leaf()",
                              where()});
  return vjp({output}, inputs, {ones(output.shape(), output.dtype())});
}

Tensors jvp(const std::function<Tensors(const Tensors&)>& f, const Tensors& at,
            const Tensors& tangents) {
  if (tangents.size() != at.size())
    fail(Error::Kind::shape,
         {"[jvp] ", at.size(), " inputs but ", tangents.size(), " tangents", where()});
  Tensors in;
  for (const Tensor& t : at) in.push_back(identity(t));
  const Tensors out = f(in);
  Tensors u;  // any values: the vjp is linear in them
  for (const Tensor& y : out)
    u.push_back(is_float(y.dtype()) ? identity(zeros(y.shape(), y.dtype())) : Tensor());
  const Tensors g = vjp(out, in, u);
  Tensors inner, directions;
  for (size_t i = 0; i < in.size(); ++i)
    if (is_float(in[i].dtype()) && tangents[i].defined()) {
      inner.push_back(g[i]);
      directions.push_back(tangents[i]);
    }
  Tensors wanted;
  for (const Tensor& t : u)
    if (t.defined()) wanted.push_back(t);
  const Tensors d = vjp(inner, wanted, directions);
  Tensors result;
  for (size_t k = 0, j = 0; k < out.size(); ++k)
    result.push_back(u[k].defined() ? d[j++] : zeros(out[k].shape(), out[k].dtype()));
  return result;
}

}  // namespace nacre
