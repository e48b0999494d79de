// Between rows of numbers and columns of them.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// to[p * block + c] = from[c * stride + p] for c < rows and p < columns, and 0 for the other c
/// below block, a multiple of 4.
void interleave(const float* from, int64_t stride, float* to, int64_t rows, int64_t block,
                int64_t columns);
/// to[c * stride + p] = from[p * block + c] for c < rows and p < columns.
void deinterleave(const float* from, float* to, int64_t stride, int64_t rows, int64_t block,
                  int64_t columns);

}  // namespace nacre::cpu
