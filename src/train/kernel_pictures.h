// What a network looks for first: the kernels of its first convolution as pictures.
#pragma once

#include <vector>

#include "nacre/image.h"
#include "nacre/nn.h"

namespace nacre {

/// The weight [out, in, height, width] of the first convolution over pictures; undefined if the
/// model has none.
Variable first_kernels(const Module& net);

/// One picture for each of the first `limit` kernels of such a weight: in colour for 3 input
/// channels, else the mean over them in grey. All on one scale: zero is middle grey, the largest
/// absolute value black or white.
std::vector<Image> kernel_pictures(const Tensor& weight, int64_t limit = 64);

}  // namespace nacre
