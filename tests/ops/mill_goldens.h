// Values and gradients of samples that another framework computed, and the file of what it has to
// compute. goldens/make.py makes them.
#pragma once

#include <string>

#include "base/json.h"
#include "ops/mill.h"

namespace nacre::testing {

/// All samples with a torch expression: inputs, weights of the projection, checksum.
Json golden_requests();
/// What is wrong with the set of goldens: missing, stale or left over ones.
std::vector<std::string> golden_faults();

}  // namespace nacre::testing
