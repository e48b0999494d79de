// The compiler's joined elementwise nodes: their body becomes an elementwise program.
#include <unordered_map>

#include "backends/cpu/elementwise/program.h"
#include "backends/cpu/kernel_macros.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/graph.h"

namespace nacre::cpu {

KERNEL(fused) {
  const auto body = q.graph("body");
  std::unordered_map<const Node*, int> number;
  std::vector<ProgramStep> steps;
  std::vector<Operand> in(q.in.begin(), q.in.end());
  for (size_t k = 0; k < body->inputs().size(); ++k)
    number[body->inputs()[k].node()] = static_cast<int>(k);
  for (const Node* n : body->nodes()) {
    if (!n->op) {
      if (n->placeholder < 0) return nullptr;
      continue;
    }
    if (!elementwise_supported(n->op->name)) return nullptr;
    ProgramStep step{n->op->name, {}, n->outputs[0].dtype, 0};
    for (const Tensor& t : n->inputs) step.in.push_back(number.at(t.node()));
    for (const auto& [name, value] : attr_fields(*n->op, n->attrs.get()))
      if (const auto* order = std::get_if<int64_t>(&value)) step.order = *order;
    number[n] = static_cast<int>(in.size() + steps.size());
    steps.push_back(std::move(step));
  }
  std::vector<int> outputs;
  for (const Tensor& t : body->outputs())
    outputs.push_back(number.at(t.node()) - static_cast<int>(in.size()));
  return make_elementwise(steps, outputs, in, q.out);
}

}  // namespace nacre::cpu
