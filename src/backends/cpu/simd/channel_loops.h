// Sums down the channels of bf16 and f32 tensors whose channels come last.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// For each of `cols` columns of `rows` rows that are `stride` elements apart: first = sum of
/// (x - centre), second = sum of (x - centre)^2. Lanes are f32 for up to 64 rows, then double.
void channel_moments(const uint16_t* x, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second);
void channel_moments(const float* x, int64_t stride, int64_t rows, int64_t cols,
                     const float* centre, double* first, double* second);
/// first = sum of dy, second = sum of dy (x - centre).
void channel_products(const uint16_t* x, const uint16_t* dy, int64_t stride, int64_t rows,
                      int64_t cols, const float* centre, double* first, double* second);
void channel_products(const float* x, const float* dy, int64_t stride, int64_t rows, int64_t cols,
                      const float* centre, double* first, double* second);

/// Sizes of a pool over [H, W, C].
struct RowsPool {
  int64_t in[2], out[2], kernel[2], stride[2], pad[2], channels;
};
constexpr int64_t kPoolChannels = 16;  ///< that are worked on together
/// Adds dy of each window to the first of its largest values: kPoolChannels channels from `first`
/// on, or as many as there are. sums: in[0] * in[1] * kPoolChannels.
void max_pool_rows_grad(const RowsPool& p, const uint16_t* x, const uint16_t* dy, uint16_t* dx,
                        int64_t first, float* sums);

}  // namespace nacre::cpu
