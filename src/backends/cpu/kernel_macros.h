// How a kernel file of the CPU backend offers its kernel:
//
//   namespace nacre::cpu {
//   KERNEL(erf) {
//     if (!q.all_float(DType::f32)) return nullptr;
//     return std::make_unique<ErfKernel>(q);
//   }
//   }
//
// The build finds these lines and makes the table; the name is the op's.
#pragma once

#include <memory>
#include <span>

#include "graph/kernel.h"

#define KERNEL(name) std::unique_ptr<Kernel> prepare_##name(const KernelQuery& q)

namespace nacre::cpu {

/// Every kernel of the files in src/backends/cpu/kernels.
std::span<const KernelEntry> kernels();

}  // namespace nacre::cpu
