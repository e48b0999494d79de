#pragma once

#include "ops/op.h"

namespace nacre {

/// pad with zeros that are no input: passes may rely on them.
Tensor pad_with_zeros(const Tensor& x, const Ints& low, const Ints& high);

}  // namespace nacre
