#include <unordered_map>

#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
namespace {

struct CheckpointAttrs {
  int64_t outputs = 0, inputs = 0;
  void fields(FieldVisitor& v) {
    v("outputs", outputs);
    v("inputs", inputs);
  }
};

/// Records the nodes between `from` and `to` again, with `from` replaced.
Tensors recorded_again(const Tensors& to, const Tensors& from, const Tensors& replacement) {
  std::unordered_map<Node*, Tensors> made;
  for (size_t i = 0; i < from.size(); ++i) {
    auto& slots = made[from[i].node()];
    if (slots.empty())
      for (uint32_t k = 0; k < from[i].node()->outputs.size(); ++k)
        slots.emplace_back(from[i].node(), k);
    slots[from[i].index()] = replacement[i];
  }
  std::vector<std::pair<Node*, size_t>> stack;
  for (const Tensor& root : to) {
    stack.emplace_back(root.node(), 0);
    while (!stack.empty()) {
      auto& [n, next] = stack.back();
      if (made.count(n)) {
        stack.pop_back();
      } else if (next < n->inputs.size()) {
        Node* child = n->inputs[next++].node();
        if (!made.count(child)) stack.emplace_back(child, 0);
      } else {
        Tensors copies;
        if (!n->op || n->inputs.size() == 0) {
          for (uint32_t k = 0; k < n->outputs.size(); ++k) copies.emplace_back(n, k);
        } else {
          Tensors in;
          for (const Tensor& t : n->inputs) in.push_back(made.at(t.node())[t.index()]);
          const MadeFor place(*n);
          copies = make_all(*n->op, n->attrs, in);
        }
        made.emplace(n, std::move(copies));
        stack.pop_back();
      }
    }
  }
  Tensors out;
  for (const Tensor& t : to) out.push_back(made.at(t.node())[t.index()]);
  return out;
}

/// What nodes made inside take from others, besides `inputs`.
Tensors captured(const Tensors& roots, const Tensors& inputs, const MadeSince& made_inside) {
  std::unordered_map<Node*, bool> seen;
  for (const Tensor& t : inputs) seen[t.node()] = true;
  Tensors list;
  std::vector<Node*> stack;
  const auto enter = [&](const Tensor& t) {
    Node* n = t.node();
    if (!seen.emplace(n, true).second) return;
    if (made_inside(*n))
      stack.push_back(n);
    else if (!n->weak)
      for (uint32_t k = 0; k < n->outputs.size(); ++k) list.emplace_back(n, k);
  };
  for (const Tensor& t : roots) enter(t);
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    for (const Tensor& t : n->inputs) enter(t);
  }
  return list;
}

void checkpoint_vjp(Vjp& v) {
  const auto& a = v.attrs<CheckpointAttrs>();
  const auto n_out = static_cast<size_t>(a.outputs);
  Tensors outputs, from, again;
  Tensor after;  // a gradient: what is computed again waits for it
  for (size_t k = 0; k < n_out; ++k) {
    outputs.push_back(v.x(k));
    if (v.has_dy(k)) after = v.dy(k);
  }
  for (size_t i = n_out; i < v.inputs(); ++i) {
    from.push_back(v.x(i));
    again.push_back(after.defined() ? barrier(v.x(i), after) : v.x(i));
  }
  const Tensors y = recorded_again(outputs, from, again);
  Tensors roots, dy, wanted;
  for (size_t k = 0; k < n_out; ++k)
    if (v.has_dy(k)) {
      roots.push_back(y[k]);
      dy.push_back(v.dy(k));
    }
  const Tensors g = vjp(roots, again, dy);
  for (size_t i = n_out; i < v.inputs(); ++i)
    if (is_float(v.x(i).dtype())) v.dx(i) = g[i - n_out];
}

}  // namespace

/// Node of checkpoint (nacre/autograd.h).
OP(checkpoint) = {
    .name = "checkpoint",
    .kind = OpKind::composite,
    .attrs = attr_type<CheckpointAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t outputs = in.attrs<CheckpointAttrs>().outputs;
          in.check(outputs >= 0 && outputs <= static_cast<int64_t>(in.inputs()),
                   {"has ", outputs, " outputs of ", in.inputs(), " inputs"});
          for (size_t k = 0; k < static_cast<size_t>(outputs); ++k)
            in.out(in.dtype(k), in.shape(k));
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          return Tensors(in.begin(),
                         in.begin() + static_cast<const CheckpointAttrs*>(attrs)->outputs);
        },
    .vjp = checkpoint_vjp,
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return checkpoint([&](const Tensors& t) { return Tensors{exp(t[0] * x[1]) * t[0]}; },
                              {x[0]});
          };
          s.add({s.uniform({3}), s.uniform({3})}, call, "torch.exp({0} * {1}) * {0}");
        },
};

Tensors checkpoint(const std::function<Tensors(const Tensors&)>& f, const Tensors& inputs) {
  Tensors in;
  for (const Tensor& t : inputs) in.push_back(identity(t));
  const MadeSince made_inside;
  const Tensors out = f(in), outside = captured(out, in, made_inside);
  Tensors all = out;
  all.insert(all.end(), in.begin(), in.end());
  all.insert(all.end(), outside.begin(), outside.end());
  return make_all(
      op_checkpoint,
      box(CheckpointAttrs{static_cast<int64_t>(out.size()), static_cast<int64_t>(in.size())}), all);
}

}  // namespace nacre
