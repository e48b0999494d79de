// Kernels of ops that hold subgraphs.
#pragma once

#include <memory>

#include "graph/kernel.h"

namespace nacre {

/// The kernel of cond, while_loop or scan: runs compiled subgraphs.
std::unique_ptr<Kernel> control_kernel(const KernelQuery& query, bool reference);

}  // namespace nacre
