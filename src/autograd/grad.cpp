#include "nacre/autograd.h"

#include <algorithm>

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
void vjp_of_decomposition(Vjp& v, Node* n) {
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
    if (v.has_dy(k)) {
      outputs.push_back(out[k]);
      cotangents.push_back(v.dy(k));
    }
  const Tensors g = backward(outputs, wanted, cotangents, true);
  for (size_t j = 0; j < where.size(); ++j) v.dx(where[j]) = g[j];
}

/// The nodes below some outputs, inputs first, and how they hang together, by positions in `order`.
struct Ancestry {
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<Node*> order;
  std::vector<char> target;              // is one of the tensors to differentiate by
  std::vector<char> wanted;              // depends on a target
  std::vector<uint32_t> first_parent;    // of each node, in `parent`
  std::vector<uint32_t> parent;          // of each node, the positions of its inputs
  std::vector<uint32_t> first_output;    // of each node, counting outputs of all nodes
  std::vector<uint32_t> roots, targets;  // positions; kNone for a target that is not below
  size_t outputs = 0;                    // of all nodes
};

/// Unlike topological() it enters evaluated nodes, and may stop at the targets.
Ancestry ancestry(const Tensors& roots, const Tensors& targets, bool stop) {
  Ancestry a;
  struct Open {
    Node* node;
    uint32_t next;
    bool target;
  };
  std::vector<Open> stack;
  std::lock_guard lock(graph_mutex());
  const uint64_t target_mark = next_mark(), mark = next_mark();
  for (const Tensor& t : targets) t.node()->mark = target_mark;
  const auto enter = [&](Node* n) {
    if (n->mark == mark) return;
    const bool target = n->mark == target_mark;
    n->mark = mark;
    stack.push_back({n, stop && target ? static_cast<uint32_t>(n->inputs.size()) : 0, target});
  };
  for (const Tensor& r : roots) {
    enter(r.node());
    while (!stack.empty()) {
      Open& o = stack.back();
      if (o.next < o.node->inputs.size()) {
        enter(o.node->inputs[o.next++].node());
      } else {
        o.node->position = static_cast<uint32_t>(a.order.size());
        a.order.push_back(o.node);
        a.target.push_back(o.target);
        stack.pop_back();
      }
    }
  }
  for (auto* list : {&a.first_output, &a.first_parent}) list->reserve(a.order.size());
  a.wanted.reserve(a.order.size());
  a.parent.reserve(2 * a.order.size());
  for (size_t i = 0; i < a.order.size(); ++i) {
    const Node* n = a.order[i];
    a.first_output.push_back(static_cast<uint32_t>(a.outputs));
    a.outputs += n->outputs.size();
    a.first_parent.push_back(static_cast<uint32_t>(a.parent.size()));
    a.wanted.push_back(a.target[i]);
    if (stop && a.target[i]) continue;
    for (const Tensor& in : n->inputs) {
      a.parent.push_back(in.node()->position);
      a.wanted[i] |= a.wanted[in.node()->position];
    }
  }
  const auto position = [&](const Tensor& t) {
    return t.node()->mark == mark ? t.node()->position : Ancestry::kNone;
  };
  for (const Tensor& t : roots) a.roots.push_back(position(t));
  for (const Tensor& t : targets) a.targets.push_back(position(t));
  return a;
}

Tensors backward(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents,
                 bool stop_at_inputs) {
  Differentiating guard;
  for (const Tensor& t : inputs)
    if (!t.defined()) fail(Error::Kind::shape, {"[grad] an input is undefined", where()});
  const Ancestry a = ancestry(outputs, inputs, stop_at_inputs);
  Tensors dy(a.outputs);
  const auto accumulate = [&](uint32_t position, const Tensor& t, Tensor g) {
    Tensor& slot = dy[a.first_output[position] + t.index()];
    slot = slot.defined() ? slot + g : std::move(g);
  };
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!cotangents[k].defined()) continue;
    if (cotangents[k].shape() != outputs[k].shape())
      fail(Error::Kind::shape, {"[vjp] cotangent ", k, " has shape ", cotangents[k].shape(),
                                ", its output has ", outputs[k].shape(), where()});
    accumulate(a.roots[k], outputs[k], cotangents[k]);
  }
  std::vector<bool> wants;  // these two are kept to save allocations
  Tensors dx;
  for (size_t i = a.order.size(); i-- > 0;) {
    Node* n = a.order[i];
    Tensor* own = &dy[a.first_output[i]];
    const auto defined = [](const Tensor& t) { return t.defined(); };
    if (!a.wanted[i] || std::none_of(own, own + n->outputs.size(), defined)) continue;
    n->consumed = true;
    if (!n->op || n->inputs.size() == 0 || (stop_at_inputs && a.target[i])) continue;
    const uint32_t* parent = &a.parent[a.first_parent[i]];
    wants.assign(n->inputs.size(), false);
    bool any = false;
    for (size_t j = 0; j < n->inputs.size(); ++j) {
      wants[j] = a.wanted[parent[j]] && is_float(n->inputs[j].dtype());
      any = any || wants[j];
    }
    if (!any) continue;
    dx.assign(n->inputs.size(), Tensor());
    Vjp v(n, {own, n->outputs.size()}, dx, wants);
    const MadeFor place(*n);  // a failing gradient is that of a layer and a line
    if (n->op->vjp)
      n->op->vjp(v);
    else if (n->op->decompose)
      vjp_of_decomposition(v, n);
    // Others have no gradient: integers, comparisons, sorting positions.
    for (size_t j = 0; j < n->inputs.size(); ++j) {
      if (!wants[j] || !dx[j].defined()) continue;
      const Tensor& in = n->inputs[j];
      Tensor g = std::move(dx[j]);
      if (g.dtype() != in.dtype()) g = cast(g, in.dtype());
      if (n->op->kind == OpKind::elementwise) g = sum_to_shape(g, in.shape());
      if (g.shape() != in.shape())
        fail(Error::Kind::internal, {"[", n->op->name, "] its gradient rule gave shape ", g.shape(),
                                     " for input ", j, " of shape ", in.shape()});
      accumulate(parent[j], in, std::move(g));
    }
    if (!a.target[i])
      for (size_t k = 0; k < n->outputs.size(); ++k) own[k] = Tensor();
  }
  Tensors out;
  for (size_t j = 0; j < inputs.size(); ++j) {
    const Tensor& t = inputs[j];
    Tensor g;
    if (a.targets[j] != Ancestry::kNone) g = dy[a.first_output[a.targets[j]] + t.index()];
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
