#include "embed/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "embed/format.h"

// On x86 the best of two is chosen when the program starts; sanitizers are not ready by then.
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define NACRE_CLONES __attribute__((target_clones("arch=haswell", "default")))
#else
#define NACRE_CLONES
#endif

namespace nacre::embed {
namespace {

typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int64_t kRows = 6, kWidth = 8;

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

/// Calls f(x, y, n) for each row of the innermost dimension, with positions in both.
template <typename F>
void for_rows(Sizes sizes, Sizes strides, F f) {
  if (sizes.empty()) return f(0, 0, 1);
  int64_t at[16] = {}, x = 0, y = 0, rows = 1;
  const size_t last = sizes.size() - 1;
  for (size_t d = 0; d < last; ++d) rows *= sizes[d];
  if (sizes[last] == 0) return;
  for (int64_t r = 0; r < rows; ++r, y += sizes[last]) {
    f(x, y, sizes[last]);
    for (size_t d = last; d-- > 0;) {
      x += strides[d];
      if (++at[d] < sizes[d]) break;
      x -= strides[d] * sizes[d];
      at[d] = 0;
    }
  }
}

template <typename F>
void each(int64_t n, const float* x, float* y, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

template <typename F>
void pairs(Sizes sizes, const float* a, Sizes as, const float* b, Sizes bs, float* y, F f) {
  const int64_t da = sizes.empty() ? 0 : as.back(), db = sizes.empty() ? 0 : bs.back();
  int64_t at[16] = {}, pb = 0;
  for_rows(sizes, as, [&](int64_t pa, int64_t py, int64_t n) {
    const float *x = a + pa, *z = b + pb;
    float* to = y + py;
    if (da == 1 && db == 1)
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i], z[i]);
    else if (da == 1 && db == 0)
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i], *z);
    else
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i * da], z[i * db]);
    for (size_t d = sizes.empty() ? 0 : sizes.size() - 1; d-- > 0;) {
      pb += bs[d];
      if (++at[d] < sizes[d]) break;
      pb -= bs[d] * sizes[d];
      at[d] = 0;
    }
  });
}

/// The taps of a window that lie inside: from <= t < to.
void inside(int64_t start, int64_t size, int64_t kernel, int64_t dilation, int64_t& from,
            int64_t& to) {
  from = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  to = start >= size ? 0 : std::min(kernel, (size - start + dilation - 1) / dilation);
  from = std::min(from, to);
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

}  // namespace

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

void max_pool(const Window& q, int64_t planes, const float* x, float* y) {
  for (int64_t p = 0; p < planes; ++p, x += q.in[0] * q.in[1])
    for (int64_t i = 0; i < q.out[0]; ++i)
      for (int64_t j = 0; j < q.out[1]; ++j) {
        const int64_t top = i * q.stride[0] - q.low[0], left = j * q.stride[1] - q.low[1];
        int64_t r0, r1, s0, s1;
        inside(top, q.in[0], q.kernel[0], q.dilation[0], r0, r1);
        inside(left, q.in[1], q.kernel[1], q.dilation[1], s0, s1);
        float best = -INFINITY;
        for (int64_t r = r0; r < r1; ++r)
          for (int64_t s = s0; s < s1; ++s) {
            const float v = x[(top + r * q.dilation[0]) * q.in[1] + left + s * q.dilation[1]];
            if (v > best || v != v) best = v;
          }
        *y++ = best;
      }
}

void avg_pool(const Window& q, int64_t planes, bool include_pad, const float* x, float* y) {
  for (int64_t p = 0; p < planes; ++p, x += q.in[0] * q.in[1])
    for (int64_t i = 0; i < q.out[0]; ++i)
      for (int64_t j = 0; j < q.out[1]; ++j) {
        const int64_t top = i * q.stride[0] - q.low[0], left = j * q.stride[1] - q.low[1];
        int64_t r0, r1, s0, s1;
        inside(top, q.in[0], q.kernel[0], q.dilation[0], r0, r1);
        inside(left, q.in[1], q.kernel[1], q.dilation[1], s0, s1);
        double sum = 0;
        for (int64_t r = r0; r < r1; ++r)
          for (int64_t s = s0; s < s1; ++s)
            sum += x[(top + r * q.dilation[0]) * q.in[1] + left + s * q.dilation[1]];
        const int64_t count =
            include_pad ? q.kernel[0] * q.kernel[1] : std::max<int64_t>(1, (r1 - r0) * (s1 - s0));
        *y++ = static_cast<float>(sum / static_cast<double>(count));
      }
}

namespace {

template <auto kFunction>
void mapped(int64_t n, const float* x, float* y) {
  each(n, x, y, kFunction);
}

struct Unary {
  std::string_view name;
  void (*run)(int64_t n, const float* x, float* y);
};
/// A program names them by their place.
constexpr Unary kFunctions[] = {
    {"neg", mapped<[](float v) { return -v; }>},
    {"abs", mapped<[](float v) { return std::fabs(v); }>},
    {"relu", mapped<[](float v) { return limited(v, 1); }>},
    {"sigmoid", mapped<[](float v) { return 1 / (1 + std::exp(-v)); }>},
    {"tanh", mapped<[](float v) { return std::tanh(v); }>},
    {"exp", mapped<[](float v) { return std::exp(v); }>},
    {"log", mapped<[](float v) { return std::log(v); }>},
    {"sqrt", mapped<[](float v) { return std::sqrt(v); }>},
    {"rsqrt", mapped<[](float v) { return 1 / std::sqrt(v); }>},
    {"square", mapped<[](float v) { return v * v; }>},
    {"reciprocal", mapped<[](float v) { return 1 / v; }>},
    {"erf", mapped<[](float v) { return std::erf(v); }>},
    {"floor", mapped<[](float v) { return std::floor(v); }>},
    {"ceil", mapped<[](float v) { return std::ceil(v); }>},
    {"round", mapped<[](float v) { return std::nearbyint(v); }>},
    {"trunc", mapped<[](float v) { return std::trunc(v); }>},
    {"sign", mapped<[](float v) { return (v > 0)   ? 1.0f
                                         : (v < 0) ? -1.0f
                                                   : v; }>},
    {"sin", mapped<[](float v) { return std::sin(v); }>},
    {"cos", mapped<[](float v) { return std::cos(v); }>},
    {"softplus",
     mapped<[](float v) { return std::max(v, 0.0f) + std::log1p(std::exp(-std::fabs(v))); }>},
    {"log1p", mapped<[](float v) { return std::log1p(v); }>},
    {"expm1", mapped<[](float v) { return std::expm1(v); }>},
    {"logical_not", mapped<[](float v) { return v == 0 ? 1.0f : 0.0f; }>},
    {"to_integer", mapped<[](float v) { return std::trunc(v); }>},
    {"to_boolean", mapped<[](float v) { return v != 0 ? 1.0f : 0.0f; }>},
    {"erfc", mapped<[](float v) { return std::erfc(v); }>},
};
static_assert(std::equal(std::begin(kUnary), std::end(kUnary), std::begin(kFunctions),
                         std::end(kFunctions),
                         [](std::string_view name, const Unary& f) { return name == f.name; }));

}  // namespace

void unary(int64_t function, int64_t n, const float* x, float* y) {
  kFunctions[function].run(n, x, y);
}

void binary(int64_t function, Sizes sizes, const float* a, Sizes as, const float* b, Sizes bs,
            float* y) {
  const auto run = [&](auto f) { pairs(sizes, a, as, b, bs, y, f); };
  const auto test = [&](auto f) {
    pairs(sizes, a, as, b, bs, y, [f](float p, float q) { return f(p, q) ? 1.0f : 0.0f; });
  };
  switch (function) {  // in the order of kBinary
    case 0:
      return run([](float p, float q) { return p + q; });
    case 1:
      return run([](float p, float q) { return p - q; });
    case 2:
      return run([](float p, float q) { return p * q; });
    case 3:
      return run([](float p, float q) { return p / q; });
    case 4:
      return run([](float p, float q) { return p != p || p > q ? p : q; });
    case 5:
      return run([](float p, float q) { return p != p || p < q ? p : q; });
    case 6:
      return run([](float p, float q) { return std::pow(p, q); });
    case 7:
      return test([](float p, float q) { return p == q; });
    case 8:
      return test([](float p, float q) { return p != q; });
    case 9:
      return test([](float p, float q) { return p < q; });
    case 10:
      return test([](float p, float q) { return p <= q; });
    case 11:
      return test([](float p, float q) { return p > q; });
    case 12:
      return test([](float p, float q) { return p >= q; });
    case 13:
      return test([](float p, float q) { return p != 0 && q != 0; });
    default:
      return test([](float p, float q) { return p != 0 || q != 0; });
  }
}

void select(Sizes sizes, const float* c, Sizes cs, const float* a, Sizes as, const float* b,
            Sizes bs, float* y) {
  pairs(sizes, c, cs, b, bs, y, [](float p, float q) { return p != 0 ? 0.0f : q; });
  // Where the condition holds, a.
  int64_t at[16] = {}, pa = 0;
  for_rows(sizes, cs, [&](int64_t pc, int64_t py, int64_t n) {
    const int64_t dc = sizes.empty() ? 0 : cs.back(), da = sizes.empty() ? 0 : as.back();
    for (int64_t i = 0; i < n; ++i)
      if (c[pc + i * dc] != 0) y[py + i] = a[pa + i * da];
    for (size_t d = sizes.empty() ? 0 : sizes.size() - 1; d-- > 0;) {
      pa += as[d];
      if (++at[d] < sizes[d]) break;
      pa -= as[d] * sizes[d];
      at[d] = 0;
    }
  });
}

void copy(Sizes sizes, const float* x, Sizes strides, float* y) {
  const int64_t step = sizes.empty() ? 1 : strides.back();
  for_rows(sizes, strides, [&](int64_t from, int64_t to, int64_t n) {
    if (step == 1)
      std::copy_n(x + from, n, y + to);
    else
      for (int64_t i = 0; i < n; ++i) y[to + i] = x[from + i * step];
  });
}

void scatter(Sizes sizes, const float* x, float* y, Sizes strides) {
  for_rows(sizes, strides,
           [&](int64_t to, int64_t from, int64_t n) { std::copy_n(x + from, n, y + to); });
}

void reduce(int64_t function, int64_t outer, int64_t n, int64_t inner, const float* x, float* y) {
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += inner)
    for (int64_t i = 0; i < inner; ++i) {
      double sum = 0;
      float best = x[i];
      for (int64_t k = 0; k < n; ++k) {
        const float v = x[k * inner + i];
        sum += v;
        if (v != v || (function == 2 ? v > best : v < best)) best = v;
      }
      y[i] =
          function < 2 ? static_cast<float>(function ? sum / static_cast<double>(n) : sum) : best;
    }
}

void softmax(int64_t outer, int64_t n, int64_t inner, const float* x, float* y) {
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += n * inner)
    for (int64_t i = 0; i < inner; ++i) {
      float best = -INFINITY;
      for (int64_t k = 0; k < n; ++k) best = std::max(best, x[k * inner + i]);
      float sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += y[k * inner + i] = std::exp(x[k * inner + i] - best);
      for (int64_t k = 0; k < n; ++k) y[k * inner + i] /= sum;
    }
}

}  // namespace nacre::embed
