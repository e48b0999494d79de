// Elementwise ops that stand alone: programs of one step.
#include "backends/cpu/elementwise/program.h"
#include "nacre/op.h"

namespace nacre::cpu {

std::unique_ptr<Kernel> prepare_elementwise(const KernelQuery& q) {
  if (!elementwise_supported(q.op.name)) return nullptr;
  ProgramStep step{q.op.name, {}, q.out[0].dtype, 0};
  for (size_t i = 0; i < q.in.size(); ++i) step.in.push_back(static_cast<int>(i));
  if (step.op == "polygamma") step.order = q.integer("n");
  const int outputs[] = {0};
  return make_elementwise({&step, 1}, outputs, q.in, q.out);
}

}  // namespace nacre::cpu
