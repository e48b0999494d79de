// Convolutions of stride 1 over zero-padded planes of a common row length: tap t of all outputs of
// a plane is the plane shifted by offsets[t], so a plane is one long vector and no column matrix is
// needed. Positions between the rows come out as garbage that the caller drops.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// Positions are worked on in blocks; buffers have room for a multiple of this.
constexpr int64_t kShiftBlock = 48;

/// Output channels that shift_forward computes together, best for this many; at most 8.
int64_t shift_rows(int64_t outputs);

/// out[o][p] = sum over t of weights[t][o] * x[p + offsets[t]] for p < positions rounded up to
/// kShiftBlock and o < rows. `rows` is a result of shift_rows.
void shift_forward(const float* x, const int64_t* offsets, int64_t taps, const float* weights,
                   int64_t rows, int64_t positions, float* out, int64_t out_stride);

/// dw[o][t] += sum over units u and p < positions of dy[u][o][p] * x[u][p + offsets[t]]; positions
/// is a multiple of 16.
void shift_weight_grad(const float* x, int64_t x_unit, const float* dy, int64_t dy_unit,
                       int64_t dy_row, int64_t units, int64_t positions, const int64_t* offsets,
                       int64_t taps, int64_t outputs, float* dw);

/// y[j] = sum over i of x[i] * a[i * stride + j] for j < n, i < k: a row vector by a matrix.
void row_by_matrix(const float* x, const float* a, int64_t stride, int64_t k, int64_t n, float* y);
/// y[j] = sum over i of a[j * stride + i] * x[i] for j < n, i < k: a matrix by a column vector.
void matrix_by_column(const float* a, int64_t stride, const float* x, int64_t n, int64_t k,
                      float* y);

}  // namespace nacre::cpu
