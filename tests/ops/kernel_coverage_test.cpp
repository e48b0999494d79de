// Which ops run on their reference kernel under the CPU backend. A new op without a kernel fails
// here until it gets one or a reason.
#include <gtest/gtest.h>

#include <map>

#include "graph/op_table.h"
#include "ops/mill.h"

namespace nacre::testing {
namespace {

/// Ops that have no CPU kernel, and why.
const std::map<std::string, std::string>& without_kernel() {
  static const std::map<std::string, std::string> list = {
      {"cosine_window",
       "it has no inputs, so the pass 'fold' computes windows of up to 1 MiB once, when a plan is "
       "compiled"},
  };
  return list;
}

/// Ops of a type that run on their reference, each with the samples that did.
std::map<std::string, std::string> on_reference(DType type) {
  std::map<std::string, std::string> found;
  for (const OpDocumented& documented : builtin_ops()) {
    const OpDef* op = documented.def;
    const Subject subject(*op);
    for (size_t i = 0; i < subject.samples().size(); ++i) {
      try {
        const Tensors in = tensors_of(subject.inputs(i, type));
        for (const auto& [name, dtype, backend] :
             kernels_of(subject, subject.samples()[i], in, false))
          if (backend == "reference")
            found[name] += cat({" ", describe(subject.samples()[i], i), " of ", op->name});
      } catch (const Error&) {  // not for this type, or it reads its inputs when called
      }
    }
  }
  return found;
}

TEST(KernelCoverage, OnlyListedOpsRunOnTheirReference) {
  for (DType type : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    const auto found = on_reference(type);
    for (const auto& [op, samples] : found)
      EXPECT_TRUE(without_kernel().count(op) || lacks_units(op))
          << op << " has no CPU kernel for " << name_of(type) << " (samples" << samples
          << "): write one, or list it with a reason";
    for (const auto& [op, reason] : without_kernel())
      EXPECT_TRUE(found.count(op)) << op << " is listed as without kernel and has one";
  }
}

}  // namespace
}  // namespace nacre::testing
