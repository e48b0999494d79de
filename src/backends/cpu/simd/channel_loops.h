// Sums down the channels of bf16 tensors whose channels come last.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// For each of `cols` columns of `rows` rows that are `stride` elements apart: first = sum of
/// (x - centre), second = sum of (x - centre)^2. Lanes are f32 for up to 64 rows, then double.
void channel_moments(const uint16_t* x, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second);
/// first = sum of dy, second = sum of dy (x - centre).
void channel_products(const uint16_t* x, const uint16_t* dy, int64_t stride, int64_t rows,
                      int64_t cols, const float* centre, double* first, double* second);

}  // namespace nacre::cpu
