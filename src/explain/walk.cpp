#include "explain/walk.h"

#include <algorithm>

#include "ops/op.h"

namespace nacre::explain {

Walk::Walk(const Tensors& outputs, const Tensors& targets) : outputs_(outputs), targets_(targets) {
  for (const Tensor& t : targets_) entries_[t.node()].depends = true;
  std::vector<std::pair<Node*, size_t>> stack;
  std::unordered_map<const Node*, bool> entered;
  const auto enter = [&](Node* n) {
    if (entered.emplace(n, true).second) stack.emplace_back(n, 0);
  };
  for (const Tensor& root : outputs_) {
    enter(root.node());
    while (!stack.empty()) {
      auto& [n, next] = stack.back();
      const bool target = is_target(Tensor(n, 0));
      if (!target && next < n->inputs.size()) {
        enter(n->inputs[next++].node());
        continue;
      }
      if (!target)
        for (const Tensor& t : n->inputs)
          if (depends(t)) entries_[n].depends = true;
      if (depends(Tensor(n, 0))) order_.push_back(n);
      stack.pop_back();
    }
  }
  for (const Node* n : order_)
    if (!is_target(Tensor(const_cast<Node*>(n), 0)))
      for (const Tensor& t : n->inputs)
        if (depends(t)) ++entries_[t.node()].uses;
  for (const Tensor& t : outputs_)
    if (depends(t)) ++entries_[t.node()].uses;
}

bool Walk::depends(const Tensor& t) const {
  const auto at = entries_.find(t.node());
  return at != entries_.end() && at->second.depends;
}

bool Walk::is_target(const Tensor& t) const {
  return std::any_of(targets_.begin(), targets_.end(),
                     [&](const Tensor& target) { return target.node() == t.node(); });
}

int Walk::uses(const Node& n) const {
  const auto at = entries_.find(&n);
  return at == entries_.end() ? 0 : at->second.uses;
}

std::vector<size_t> Walk::dependent_inputs(const Node& n) const {
  std::vector<size_t> list;
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (depends(n.inputs[i]) && is_float(n.inputs[i].dtype())) list.push_back(i);
  return list;
}

void Walk::send(const Tensor& t, Tensor amount) {
  if (amount.dtype() != t.dtype()) amount = cast(amount, t.dtype());
  if (amount.shape() != t.shape()) amount = sum_to_shape(amount, t.shape());
  Tensors& arrived = entries_[t.node()].arrived;
  arrived.resize(t.node()->outputs.size());
  Tensor& slot = arrived[t.index()];
  slot = slot.defined() ? slot + amount : std::move(amount);
}

Tensors Walk::run(const Tensors& seeds, const Rule& rule) {
  Differentiating guard;
  for (size_t k = 0; k < outputs_.size(); ++k)
    if (seeds[k].defined()) send(outputs_[k], seeds[k]);
  for (size_t i = order_.size(); i-- > 0;) {
    Node* n = order_[i];
    if (!n->op || is_target(Tensor(n, 0))) continue;
    const Tensors arrived = std::move(entries_[n].arrived);
    if (std::none_of(arrived.begin(), arrived.end(), [](const Tensor& t) { return t.defined(); }))
      continue;
    const MadeFor place(*n);
    rule(*this, *n, arrived);
  }
  Tensors result;
  for (const Tensor& t : targets_) {
    const Tensors& arrived = entries_[t.node()].arrived;
    const bool some = t.index() < arrived.size() && arrived[t.index()].defined();
    result.push_back(some ? arrived[t.index()] : zeros(t.shape(), t.dtype()));
  }
  return result;
}

Tensors gradient_of(Node& n, std::span<const Tensor> dy, const std::vector<bool>& wants) {
  Tensors dx(n.inputs.size());
  if (!n.op->vjp) return dx;
  Vjp v(&n, dy, dx, wants);
  n.op->vjp(v);
  return dx;
}

void Walk::send_gradient(Node& n, std::span<const Tensor> dy, const Rule& rule) {
  if (!n.op->vjp && n.op->decompose) return send_through_parts(n, dy, rule);
  std::vector<bool> wants(n.inputs.size(), false);
  for (size_t i : dependent_inputs(n)) wants[i] = true;
  const Tensors dx = gradient_of(n, dy, wants);
  for (size_t i = 0; i < dx.size(); ++i)
    if (wants[i] && dx[i].defined()) send(n.inputs[i], dx[i]);
}

void Walk::send_through_parts(Node& n, std::span<const Tensor> arrived, const Rule& rule) {
  // Fresh handles, so that the walk ends there even if one input is computed from another.
  Tensors at, targets;
  std::vector<size_t> position;
  const std::vector<size_t> inner = dependent_inputs(n);
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    const bool wanted = std::find(inner.begin(), inner.end(), i) != inner.end();
    at.push_back(wanted ? identity(n.inputs[i]) : n.inputs[i]);
    if (!wanted) continue;
    targets.push_back(at.back());
    position.push_back(i);
  }
  const Tensors parts = n.op->decompose(n.attrs.get(), at);
  Tensors outputs, seeds;
  for (size_t k = 0; k < arrived.size(); ++k)
    if (arrived[k].defined()) {
      outputs.push_back(parts[k]);
      seeds.push_back(arrived[k]);
    }
  const Tensors below = Walk(outputs, targets).run(seeds, rule);
  for (size_t j = 0; j < below.size(); ++j) send(n.inputs[position[j]], below[j]);
}

}  // namespace nacre::explain
