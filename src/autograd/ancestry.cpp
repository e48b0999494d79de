#include "autograd/ancestry.h"

namespace nacre {

void Ancestry::find(const Tensors& from, const Tensors& to, bool stop) {
  struct Open {
    Node* node;
    uint32_t next;
    bool target;
  };
  std::vector<Open> stack;
  stack.reserve(64);
  order.clear();
  target.clear();
  wanted.clear();
  outputs = 0;
  for (auto* list : {&first_parent, &parent, &first_output, &roots, &targets}) list->clear();
  std::lock_guard lock(graph_mutex());
  const uint64_t target_mark = next_mark(), mark = next_mark();
  for (const Tensor& t : to) t.node()->mark = target_mark;
  const auto enter = [&](Node* n) {
    if (n->mark == mark) return;
    const bool target = n->mark == target_mark;
    n->mark = mark;
    stack.push_back({n, stop && target ? static_cast<uint32_t>(n->inputs.size()) : 0, target});
  };
  for (const Tensor& r : from) {
    enter(r.node());
    while (!stack.empty()) {
      Open& o = stack.back();
      if (o.next < o.node->inputs.size()) {
        enter(o.node->inputs[o.next++].node());
      } else {
        o.node->position = static_cast<uint32_t>(order.size());
        order.push_back(o.node);
        target.push_back(o.target);
        stack.pop_back();
      }
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    const Node* n = order[i];
    first_output.push_back(static_cast<uint32_t>(outputs));
    outputs += n->outputs.size();
    first_parent.push_back(static_cast<uint32_t>(parent.size()));
    wanted.push_back(target[i]);
    if (stop && target[i]) continue;
    for (const Tensor& in : n->inputs) {
      parent.push_back(in.node()->position);
      wanted[i] |= wanted[in.node()->position];
    }
  }
  const auto position = [&](const Tensor& t) {
    return t.node()->mark == mark ? t.node()->position : Ancestry::kNone;
  };
  for (const Tensor& t : from) roots.push_back(position(t));
  for (const Tensor& t : to) targets.push_back(position(t));
}

}  // namespace nacre
