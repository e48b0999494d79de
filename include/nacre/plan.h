// Looking at, and steering, the compiler and the executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nacre {

struct PlanStats {
  uint64_t compilations = 0;  ///< plans made with the optimising passes
  uint64_t plain = 0;         ///< plans made without them, for shapes seen once
  uint64_t hits = 0;          ///< evaluations that found their plan
  uint64_t nodes = 0;         ///< nodes evaluated
  size_t cached_plans = 0;    ///< at most 4096 and 256 MiB; the least recently used go first
  size_t cached_bytes = 0;    ///< that these hold, about
  size_t arena_bytes = 0;     ///< work space, which plans that run at different times share
};
PlanStats plan_stats();
void clear_plans();

/// Eager mode: each op runs at once, passes off (also NACRE_EAGER=1). For debugging: an error or a
/// NaN shows at its line.
void set_eager(bool on);
/// Optimising passes on or off (also NACRE_DISABLE_PASSES=all). Default on.
void set_passes(bool on);
/// Reference kernels only (also NACRE_BACKEND=ref). The oracle of tests; slow.
void set_reference_backend(bool on);

/// Bytes of work space (activations, gradients and other values within a step) that a plan may
/// take; 0: any. Where a plan would take more, values are let go and computed again, which costs
/// time but changes no bit of the results. Plans that cannot be kept below it throw Error(memory)
/// when they are compiled. Parameters and the optimiser's values do not count. It is a part
/// of what a plan is looked up by, so that it can be set for some evaluations only.
void set_memory_limit(size_t bytes);
size_t memory_limit();

/// Hashes of the graph structures seen so far, oldest first. A resumed run that restores them
/// compiles the same graphs at the same steps as one that was never stopped, which gives the same
/// bits.
std::vector<uint64_t> seen_structures();
void restore_seen_structures(const std::vector<uint64_t>& seen);

}  // namespace nacre
