// Reductions over any set of dimensions, for inputs of any strides.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "graph/kernel.h"

namespace nacre::cpu {

enum class Reduce { sum, mean, prod, amax, amin, any, all };

/// Reduces `dims` of `in`; `out` has the kept dimensions (or 1 in place of the others). Floats are
/// accumulated in double from blocks in f32 lanes, integers in i64 (wrapping); maxima and minima
/// of floats with a NaN are NaN. The order of the additions depends on the shape alone, not on the
/// number of threads. Null if the types do not fit: mean, and sums of floats, give floats.
std::unique_ptr<Kernel> make_reduce(Reduce kind, const Operand& in, const Operand& out,
                                    const Ints& dims);

}  // namespace nacre::cpu
