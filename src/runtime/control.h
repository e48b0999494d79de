// Kernels of ops that hold subgraphs.
#pragma once

#include <memory>

#include "compile/plan.h"

namespace nacre {

/// The kernel of cond, while_loop or scan: runs compiled subgraphs.
std::unique_ptr<Kernel> control_kernel(const KernelQuery& query, const CompileOptions& options);

}  // namespace nacre
