// Convolutions and products of matrices, with what follows them: bias and activation.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "embed/step.h"

// On x86 the best of two is chosen when the program starts; sanitizers are not ready by then.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define NACRE_CLONES __attribute__((target_clones("arch=haswell", "default")))
#else
#define NACRE_CLONES
#endif

namespace nacre::embed {
namespace {

/// Columns of a product that are computed at a time.
constexpr int64_t kPanel = 16;
typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int64_t kRows = 6;

struct Tile {
  int64_t rows, columns, k;
  const float* a;  // rows that are a_row apart
  int64_t a_row;
  const float* panel;  // k x kPanel
  const float* row_bias;
  const float* column_bias;
  float* c;
  int64_t c_row, activation;
};

inline float limited(float v, int64_t activation) {
  if (activation) v = v > 0 ? v : v == v ? 0 : v;
  return activation == 2 && v > 6 ? 6 : v;
}

template <int R>
inline __attribute__((always_inline)) void multiply(const Tile& t) {
  Vector sum[R][2] = {};
  for (int64_t p = 0; p < t.k; ++p) {
    Vector b[2];
    std::memcpy(b, t.panel + p * kPanel, sizeof b);
    for (int r = 0; r < R; ++r) {
      const float a = t.a[r * t.a_row + p];
      sum[r][0] += a * b[0];
      sum[r][1] += a * b[1];
    }
  }
  for (int r = 0; r < R; ++r) {
    float values[kPanel];
    std::memcpy(values, sum[r], sizeof values);
    const float bias = t.row_bias ? t.row_bias[r] : 0;
    float* c = t.c + r * t.c_row;
    for (int64_t j = 0; j < t.columns; ++j)
      c[j] = limited(values[j] + (t.column_bias ? t.column_bias[j] : bias), t.activation);
  }
}

NACRE_CLONES void tile(const Tile& t) {
  switch (t.rows) {
    case 1:
      return multiply<1>(t);
    case 2:
      return multiply<2>(t);
    case 3:
      return multiply<3>(t);
    case 4:
      return multiply<4>(t);
    case 5:
      return multiply<5>(t);
    default:
      return multiply<6>(t);
  }
}

/// y += a * x
NACRE_CLONES void add_scaled(int64_t n, float a, const float* x, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

void depthwise(const Window& q, const float* x, const float* w, float bias, float* y,
               int64_t activation) {
  for (int64_t i = 0; i < q.out[0]; ++i) {
    float* row = y + i * q.out[1];
    std::fill_n(row, q.out[1], bias);
    for (int64_t r = 0; r < q.kernel[0]; ++r) {
      const int64_t iy = i * q.stride[0] - q.low[0] + r * q.dilation[0];
      if (iy < 0 || iy >= q.in[0]) continue;
      for (int64_t s = 0; s < q.kernel[1]; ++s) {
        const int64_t start = s * q.dilation[1] - q.low[1], step = q.stride[1];
        const int64_t from = start >= 0 ? 0 : (-start + step - 1) / step;
        const int64_t to =
            start >= q.in[1] ? 0 : std::min(q.out[1], (q.in[1] - start + step - 1) / step);
        const float* p = x + iy * q.in[1] + start;
        const float weight = w[r * q.kernel[1] + s];
        if (step == 1 && from < to)
          add_scaled(to - from, weight, p + from, row + from);
        else
          for (int64_t j = from; j < to; ++j) row[j] += weight * p[j * step];
      }
    }
    if (activation)
      for (int64_t j = 0; j < q.out[1]; ++j) row[j] = limited(row[j], activation);
  }
}

/// The patches of kPanel pixels of the result, one column each.
void gather_patches(const Window& q, int64_t channels, const float* x, int64_t first,
                    int64_t columns, float* panel) {
  int64_t top[kPanel], left[kPanel];
  for (int64_t j = 0; j < columns; ++j) {
    top[j] = (first + j) / q.out[1] * q.stride[0] - q.low[0];
    left[j] = (first + j) % q.out[1] * q.stride[1] - q.low[1];
  }
  const int64_t plane = q.in[0] * q.in[1];
  const bool pointwise = q.kernel[0] * q.kernel[1] == 1 && q.out[0] * q.out[1] == plane &&
                         q.stride[0] == 1 && q.stride[1] == 1 && !q.low[0] && !q.low[1];
  for (int64_t c = 0; c < channels; ++c, x += plane)
    for (int64_t r = 0; r < q.kernel[0]; ++r)
      for (int64_t s = 0; s < q.kernel[1]; ++s, panel += kPanel) {
        if (pointwise) {
          std::copy_n(x + first, columns, panel);
        } else {
          const int64_t down = r * q.dilation[0], right = s * q.dilation[1];
          for (int64_t j = 0; j < columns; ++j) {
            const int64_t iy = top[j] + down, ix = left[j] + right;
            panel[j] =
                iy >= 0 && iy < q.in[0] && ix >= 0 && ix < q.in[1] ? x[iy * q.in[1] + ix] : 0;
          }
        }
        std::fill(panel + columns, panel + kPanel, 0.0f);
      }
}

/// c[m, n] = act(a[m, k] b[k, n] + bias[n]); bias may be null. `panel` has room for k * kPanel.
void gemm(int64_t m, int64_t n, int64_t k, const float* a, const float* b, const float* bias,
          float* c, int64_t activation, float* panel) {
  if (m < 4) {  // the weights are read once, in their order
    for (int64_t i = 0; i < m; ++i) {
      float* row = c + i * n;
      if (bias)
        std::copy_n(bias, n, row);
      else
        std::fill_n(row, n, 0.0f);
      for (int64_t p = 0; p < k; ++p) add_scaled(n, a[i * k + p], b + p * n, row);
      if (activation)
        for (int64_t j = 0; j < n; ++j) row[j] = limited(row[j], activation);
    }
    return;
  }
  for (int64_t j = 0; j < n; j += kPanel) {
    const int64_t columns = std::min(kPanel, n - j);
    for (int64_t p = 0; p < k; ++p) {
      std::copy_n(b + p * n + j, columns, panel + p * kPanel);
      std::fill(panel + p * kPanel + columns, panel + (p + 1) * kPanel, 0.0f);
    }
    for (int64_t i = 0; i < m; i += kRows)
      tile({std::min(kRows, m - i), columns, k, a + i * k, k, panel, nullptr,
            bias ? bias + j : nullptr, c + i * n + j, n, activation});
  }
}

/// x is n x groups*c x in, w is groups*o x c x kernel, y is n x groups*o x out. `panel` has room
/// for c * kernel * kPanel.
void conv(const Window& q, int64_t n, int64_t groups, int64_t c, int64_t o, const float* x,
          const float* w, const float* bias, float* y, int64_t activation, float* panel) {
  const int64_t in = q.in[0] * q.in[1], out = q.out[0] * q.out[1];
  const int64_t k = c * q.kernel[0] * q.kernel[1];
  for (int64_t g = 0; g < n * groups; ++g, x += c * in, y += o * out) {
    const float* kernel = w + g % groups * o * k;
    const float* shift = bias ? bias + g % groups * o : nullptr;
    if (c == 1 && o == 1) {
      depthwise(q, x, kernel, shift ? *shift : 0, y, activation);
      continue;
    }
    for (int64_t p = 0; p < out; p += kPanel) {
      const int64_t columns = std::min(kPanel, out - p);
      gather_patches(q, c, x, p, columns, panel);
      for (int64_t i = 0; i < o; i += kRows)
        tile({std::min(kRows, o - i), columns, k, kernel + i * k, k, panel,
              shift ? shift + i : nullptr, nullptr, y + i * out + p, out, activation});
    }
  }
}

void check_conv(Check& c) {
  Step& s = c.step;
  c.need(s.in.size() == 3 ? 3 : 2, 10);
  const Shape &x = c.x(0), &w = c.x(1), &y = c.y();
  const int64_t groups = s.numbers[0];
  c.ensure(x.size() == 4 && w.size() == 4 && y.size() == 4 && groups > 0);
  c.ensure(x[1] % groups == 0 && y[1] % groups == 0 && w[1] == x[1] / groups && w[0] == y[1]);
  if (s.in.size() == 3) c.ensure(c.x_size(2) == y[1]);
  c.ensure(s.numbers[9] >= 0 && s.numbers[9] <= kRelu6);
  s.window.kernel[0] = w[2];
  s.window.kernel[1] = w[3];
  c.window(1);
  c.scratch(w[1] * w[2] * w[3] * kPanel);
}

void run_conv(const Call& c) {
  const Step& s = c.step;
  const Shape &w = c.shape(1), &y = c.shape();
  conv(s.window, y[0], s.numbers[0], w[1], w[0] / s.numbers[0], c.x(0), c.x(1),
       s.in.size() == 3 ? c.x(2) : nullptr, c.y(), s.numbers[9], c.scratch);
}

void check_matmul(Check& c) {
  Step& s = c.step;
  c.need(s.in.size() == 3 ? 3 : 2, 1);
  c.ensure(s.numbers[0] >= 0 && s.numbers[0] <= kRelu6);
  const Shape &a = c.x(0), &b = c.x(1), &y = c.y();
  const auto rank = y.rank();
  c.ensure(rank >= 2 && a.rank() >= 2 && b.rank() >= 2);
  c.ensure(a[-1] == b[-2] && y[-2] == a[-2] && y[-1] == b[-1]);
  if (s.in.size() == 3) c.ensure(c.x_size(2) == y[-1]);
  const Shape batch = y.slice(0, rank - 2);
  c.ensure(broadcast(a.slice(0, a.rank() - 2), batch, s.strides[0]) &&
           broadcast(b.slice(0, b.rank() - 2), batch, s.strides[1]));
  s.sizes.resize(static_cast<size_t>(rank - 2));
  c.scratch(a[-1] * kPanel);
}

void run_matmul(const Call& c) {
  const Step& s = c.step;
  const int64_t m = c.shape(0)[-2], k = c.shape(0)[-1], n = c.shape()[-1];
  const int64_t count = c.size() / (m * n);
  const float* bias = s.in.size() == 3 ? c.x(2) : nullptr;
  for (int64_t q = 0; q < count; ++q) {
    int64_t left = q, at_a = 0, at_b = 0;
    for (size_t d = s.sizes.size(); d-- > 0; left /= s.sizes[d]) {
      at_a += left % s.sizes[d] * s.strides[0][d];
      at_b += left % s.sizes[d] * s.strides[1][d];
    }
    gemm(m, n, k, c.x(0) + at_a * m * k, c.x(1) + at_b * k * n, bias, c.y() + q * m * n,
         s.numbers[0], c.scratch);
  }
}

}  // namespace

extern const Kernel kernel_conv = {Op::conv, 0, check_conv, run_conv};
extern const Kernel kernel_matmul = {Op::matmul, 0, check_matmul, run_matmul};

}  // namespace nacre::embed
