// f32 convolutions of stride 1 with few channels, where the library pads channels to its block
// size.
#pragma once

#include "backends/cpu/im2col.h"

namespace nacre::cpu {

/// Null unless every stride is 1 and there are at most two spatial dimensions.
std::unique_ptr<Kernel> make_direct_conv(ConvPass pass, const ConvGeometry& g);

}  // namespace nacre::cpu
