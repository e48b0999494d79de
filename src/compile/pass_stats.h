// What the passes of this process did, for profiles and tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nacre {

struct PassStats {
  std::string name;
  uint64_t runs;
  double milliseconds;
  uint64_t nodes_before, nodes_after;
  uint64_t failures;  ///< it threw, or changed what a graph takes or gives, and was left out
};
std::vector<PassStats> pass_stats();

}  // namespace nacre
