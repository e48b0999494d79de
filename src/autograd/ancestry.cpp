#include "autograd/ancestry.h"

namespace nacre {

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

}  // namespace nacre
