// Finding where numbers went wrong.
#pragma once

#include <string>

#include "nacre/data.h"
#include "nacre/nn.h"

namespace nacre {

/// Where NaN or infinity comes from in the loss of this batch, as a clause of a message: from the
/// batch, from a parameter, or from the first layer whose output is not finite when the forward
/// pass is run once more with the same key; else from the loss of outputs that are finite. Where a
/// smaller learning rate than `lr` may help, it says so.
std::string first_not_finite(Module& net, const Batch& batch, const Key& key, double lr);

}  // namespace nacre
