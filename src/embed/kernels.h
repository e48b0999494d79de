// The kernels of program files: plain C++ with the compiler's vectors, one thread, no allocation.
// All values are f32, row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nacre::embed {

using Sizes = std::span<const int64_t>;

/// Columns of a product that are computed at a time.
constexpr int64_t kPanel = 16;

/// c[m, n] = act(a[m, k] b[k, n] + bias[n]); bias may be null. `panel` has room for k * kPanel.
void gemm(int64_t m, int64_t n, int64_t k, const float* a, const float* b, const float* bias,
          float* c, int64_t activation, float* panel);

struct Window {
  int64_t kernel[2], stride[2], dilation[2], low[2], in[2], out[2];
};

/// x is n x groups*c x in, w is groups*o x c x kernel, y is n x groups*o x out. `panel` has room
/// for c * kernel * kPanel.
void conv(const Window& window, int64_t n, int64_t groups, int64_t c, int64_t o, const float* x,
          const float* w, const float* bias, float* y, int64_t activation, float* panel);
/// Of that many planes.
void max_pool(const Window& window, int64_t planes, const float* x, float* y);
void avg_pool(const Window& window, int64_t planes, bool include_pad, const float* x, float* y);

void unary(int64_t function, int64_t n, const float* x, float* y);
/// y has the shape `sizes`; a, b and c have those strides, 0 where they broadcast.
void binary(int64_t function, Sizes sizes, const float* a, Sizes a_strides, const float* b,
            Sizes b_strides, float* y);
void select(Sizes sizes, const float* c, Sizes c_strides, const float* a, Sizes a_strides,
            const float* b, Sizes b_strides, float* y);
/// y, dense, of `sizes` from x with these strides, or the other way round.
void copy(Sizes sizes, const float* x, Sizes strides, float* y);
void scatter(Sizes sizes, const float* x, float* y, Sizes strides);
/// Over outer x n x inner values.
void reduce(int64_t function, int64_t outer, int64_t n, int64_t inner, const float* x, float* y);
void softmax(int64_t outer, int64_t n, int64_t inner, const float* x, float* y);

}  // namespace nacre::embed
