// f32 convolutions of each channel by a kernel of its own.
#pragma once

#include "backends/cpu/im2col.h"

namespace nacre::cpu {

/// Null unless every group has one channel in and one out, there are at most two spatial
/// dimensions, strides are at most 4 and kernels at most 32.
std::unique_ptr<Kernel> make_depthwise_conv(ConvPass pass, const ConvGeometry& g);

}  // namespace nacre::cpu
