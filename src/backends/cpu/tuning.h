// The fastest of several kernels for the same work; nacre/tuning.h says when they are measured.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "backends/cpu/make.h"

namespace nacre::cpu {

/// A way to do some work: its name among the choices, and its kernel, null where there is none.
struct Way {
  std::string_view name;
  std::function<std::unique_ptr<Kernel>()> make;
};

/// The kernel of the way that was found fastest for this work; null where nothing is known of it,
/// so that a cost model decides. The first way is the cost model's: others have to be clearly
/// faster. All operands are dense f32. `work` names shapes and attributes; `constant`: the input
/// that stays the same over many runs, none if negative.
std::unique_ptr<Kernel> fastest(const std::function<std::string()>& work, Operands in, Operands out,
                                std::span<const Way> ways, int constant = -1);

}  // namespace nacre::cpu
