// f32 convolutions of few channels and small planes, of many images at once.
#pragma once

#include "backends/cpu/im2col.h"

namespace nacre::cpu {

/// Null where there are more than two spatial dimensions, where vectors have less than 4 lanes or
/// the batch leaves half of them empty, and where the images of a vector do not stay in the
/// second-level cache.
std::unique_ptr<Kernel> make_batch_conv(ConvPass pass, const ConvGeometry& g);

}  // namespace nacre::cpu
