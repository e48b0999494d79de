#include "nacre/autograd.h"

#include <algorithm>

#include "autograd/repeat.h"
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

/// `consumed`: filled with the positions of the nodes that it went through.
Tensors backward(const Ancestry& a, const Tensors& outputs, const Tensors& inputs,
                 const Tensors& cotangents, bool stop_at_inputs, std::vector<uint32_t>& consumed) {
  Differentiating guard;
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
    consumed.push_back(static_cast<uint32_t>(i));
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

void check_defined(const Tensors& inputs) {
  for (const Tensor& t : inputs)
    if (!t.defined()) fail(Error::Kind::shape, {"[grad] an input is undefined", where()});
}

Tensors backward(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents,
                 bool stop_at_inputs) {
  check_defined(inputs);
  Ancestry a;
  a.find(outputs, inputs, stop_at_inputs);
  std::vector<uint32_t> consumed;
  return backward(a, outputs, inputs, cotangents, stop_at_inputs, consumed);
}

/// What grad() needs; kept by each thread, so that the steady state allocates little.
struct Walk {
  Ancestry graph;
  std::vector<uint64_t> key;
  std::vector<uint32_t> consumed;
};
class WalkLease {
 public:
  WalkLease() : walk_(spare_ ? std::move(spare_) : std::make_unique<Walk>()) {
    walk_->key.clear();
    walk_->consumed.clear();
  }
  ~WalkLease() { spare_ = std::move(walk_); }
  Walk& operator*() { return *walk_; }

 private:
  static inline thread_local std::unique_ptr<Walk> spare_;
  std::unique_ptr<Walk> walk_;
};

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
  const auto seed = [&] { return Tensors{ones(output.shape(), output.dtype())}; };
  if (eager() || tracing()) return vjp({output}, inputs, seed());
  check_defined(inputs);
  const Tensors outputs = {output};
  WalkLease lease;
  auto& [a, key, consumed] = *lease;
  a.find(outputs, inputs, false);
  gradient_key(a, outputs, inputs, key);
  const GradientCache::Found found = GradientCache::find(key);
  if (found.sight == GradientCache::Sight::recorded) return make_again(*found.record, a);
  if (found.sight == GradientCache::Sight::first)
    return backward(a, outputs, inputs, seed(), false, consumed);
  const Recording recording(a.order);
  Tensors g = backward(a, outputs, inputs, seed(), false, consumed);
  if (auto record = record_of(recording, a, consumed, g))
    GradientCache::insert(key, std::move(record));
  return g;
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
