// Between planes of pixels and pixels of channels.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// to[p * block + c] = from[c * plane + p] for c < channels, and 0 for the others below block.
void interleave(const float* from, float* to, int64_t channels, int64_t block, int64_t plane);
/// to[c * plane + p] = from[p * block + c] for c < channels.
void deinterleave(const float* from, float* to, int64_t channels, int64_t block, int64_t plane);

}  // namespace nacre::cpu
