// Elementwise programs: a list of elementwise ops run over tiles that stay in the cache.
//
// A program of one step is an unfused op; the fusion pass makes longer ones. Each step's result
// depends on its operands alone, and 16-bit results are rounded step by step, so that a fused
// program gives the bits that its ops give one at a time, on any number of threads.
//
//   ProgramStep steps[] = {{"mul", {0, 1}, DType::f32}, {"relu", {2}, DType::f32}};
//   int outputs[] = {1};                                     // the relu; 2 above is the mul
//   auto kernel = make_elementwise(steps, outputs, in, out);
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "graph/kernel.h"

namespace nacre::cpu {

/// One elementwise op of a program.
struct ProgramStep {
  std::string_view op;       ///< name of an elementwise op: "add", "where", "cast", ...
  std::vector<int> in;       ///< 0..inputs-1: inputs of the program; inputs + k: result of step k
  DType dtype = DType::f32;  ///< type of the result
  int64_t order = 0;         ///< attribute n of polygamma
};

/// True if the op can be a step of a program.
bool elementwise_supported(std::string_view op);

/// The kernel of an elementwise op by itself; null if it has no place in programs or does not take
/// these types.
std::unique_ptr<Kernel> prepare_elementwise(const KernelQuery& q);

/// A kernel that runs the steps in order. Inputs broadcast to the shape of the outputs, which all
/// have the same shape; `outputs` are the numbers of the steps whose results are kept. Returns null
/// if an op does not take these types. Thread-safe; may_alias() is true for an input that has the
/// type, shape and order of an output.
std::unique_ptr<Kernel> make_elementwise(std::span<const ProgramStep> steps,
                                         std::span<const int> outputs, std::span<const Operand> in,
                                         std::span<const Operand> out);

}  // namespace nacre::cpu
