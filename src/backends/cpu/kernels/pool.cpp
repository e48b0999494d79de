// max_pool, avg_pool, avg_pool_grad: rows of outputs gather one tap of the window at a time.
#include <algorithm>
#include <limits>

#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/simd/max_pool.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

struct Window : PoolWindow {
  int64_t planes = 0;
  bool whole = false;  // every window counts all of its taps

  Window(const Shape& x, const Shape& y, const PoolAttrs& a)
      : planes(x[0] * x[1]), whole(a.include_pad) {
    const int64_t rank = x.rank() - 2;
    bool clipped = false;
    for (int64_t i = 0; i < rank; ++i) {
      const auto at = static_cast<size_t>(3 - rank + i);
      in[at] = x[2 + i];
      out[at] = y[2 + i];
      kernel[at] = a.kernel[i];
      stride[at] = a.stride[i];
      dilation[at] = a.dilation[i];
      pad[at] = a.pad_low[i];
      clipped = clipped || pad[at] > 0 ||
                (out[at] - 1) * stride[at] + (kernel[at] - 1) * dilation[at] >= in[at];
    }
    whole = whole || !clipped;
  }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t rows() const { return out[0] * out[1]; }

  // How many taps of the window of output o along dimension d lie inside the input.
  int64_t inside(size_t d, int64_t o) const {
    const int64_t start = o * stride[d] - pad[d];
    const int64_t first = start >= 0 ? 0 : (-start + dilation[d] - 1) / dilation[d];
    const int64_t last = start >= in[d] ? 0 : (in[d] - 1 - start) / dilation[d] + 1;
    return std::max<int64_t>(0, std::min(kernel[d], last) - first);
  }

  // Calls f(source, first, last) for each tap of output row r: outputs [first, last) of the row
  // read the input plane at source + o * stride.
  template <typename F>
  void each_tap(int64_t r, F f) const {
    for (int64_t kd = 0; kd < kernel[0]; ++kd) {
      const int64_t d = r / out[1] * stride[0] - pad[0] + kd * dilation[0];
      if (d < 0 || d >= in[0]) continue;
      for (int64_t kh = 0; kh < kernel[1]; ++kh) {
        const int64_t h = r % out[1] * stride[1] - pad[1] + kh * dilation[1];
        if (h < 0 || h >= in[1]) continue;
        for (int64_t kw = 0; kw < kernel[2]; ++kw) {
          const int64_t offset = kw * dilation[2] - pad[2], s = stride[2];
          const int64_t first = offset >= 0 ? 0 : (-offset + s - 1) / s;
          const int64_t last = offset >= in[2] ? 0 : (in[2] - 1 - offset) / s + 1;
          if (first < std::min(last, out[2]))
            f((d * in[1] + h) * in[2] + offset, first, std::min(last, out[2]));
        }
      }
    }
  }

  // The divisor of output o of row r.
  template <typename T>
  T scale(int64_t r, int64_t o) const {
    if (whole) return T(1) / static_cast<T>(taps());
    const int64_t n = inside(0, r / out[1]) * inside(1, r % out[1]) * inside(2, o);
    return n > 0 ? T(1) / static_cast<T>(n) : T(0);
  }

  int64_t grain() const {
    return std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, out_plane() * taps()));
  }
};

template <typename T>
class MaxPool final : public Kernel {
 public:
  explicit MaxPool(const Window& w) : w_(w) {}
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* y = static_cast<T*>(out[0]);
    auto* index = static_cast<int64_t*>(out[1]);
    const int64_t step = w_.stride[2], width = w_.out[2];
    parallel_for(w_.planes, w_.grain(), [&](int64_t b, int64_t e) {
      for (int64_t p = b; p < e; ++p)
        for (int64_t r = 0; r < w_.rows(); ++r) {
          const T* plane = x + p * w_.in_plane();
          T* best = y + p * w_.out_plane() + r * width;
          int64_t* at = index + p * w_.out_plane() + r * width;
          std::fill_n(best, width, -std::numeric_limits<T>::infinity());
          std::fill_n(at, width, int64_t{-1});
          w_.each_tap(r, [&](int64_t source, int64_t first, int64_t last) {
            for (int64_t o = first; o < last; ++o) {
              const T v = plane[source + o * step];
              // NaN beats all but an earlier NaN; the first tap always counts.
              const bool take = v > best[o] || at[o] < 0 || (v != v && best[o] == best[o]);
              best[o] = take ? v : best[o];
              at[o] = take ? source + o * step : at[o];
            }
          });
        }
    });
  }

 private:
  Window w_;
};

class MaxPoolSimd final : public Kernel {
 public:
  MaxPoolSimd(const Window& w, bool places) : w_(w), places_(places) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    parallel_for(w_.planes, 4 * w_.grain(), [&](int64_t b, int64_t e) {
      for (int64_t p = b; p < e; ++p)
        max_pool_plane(w_, static_cast<const float*>(in[0]) + p * w_.in_plane(),
                       static_cast<float*>(out[0]) + p * w_.out_plane(),
                       places_ ? static_cast<int64_t*>(out[1]) + p * w_.out_plane() : nullptr);
    });
  }

 private:
  Window w_;
  bool places_;
};

template <typename T>
class AvgPool final : public Kernel {
 public:
  explicit AvgPool(const Window& w) : w_(w) {}
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* y = static_cast<T*>(out[0]);
    const int64_t step = w_.stride[2], width = w_.out[2];
    parallel_for(w_.planes, w_.grain(), [&](int64_t b, int64_t e) {
      for (int64_t p = b; p < e; ++p)
        for (int64_t r = 0; r < w_.rows(); ++r) {
          const T* plane = x + p * w_.in_plane();
          T* to = y + p * w_.out_plane() + r * width;
          std::fill_n(to, width, T(0));
          w_.each_tap(r, [&](int64_t source, int64_t first, int64_t last) {
            for (int64_t o = first; o < last; ++o) to[o] += plane[source + o * step];
          });
          for (int64_t o = 0; o < width; ++o) to[o] *= w_.scale<T>(r, o);
        }
    });
  }

 private:
  Window w_;
};

template <typename T>
class AvgPoolGrad final : public Kernel {
 public:
  explicit AvgPoolGrad(const Window& w) : w_(w) {}
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* dy = static_cast<const T*>(in[0]);
    auto* dx = static_cast<T*>(out[0]);
    const int64_t step = w_.stride[2], width = w_.out[2];
    parallel_for(w_.planes, w_.grain(), [&](int64_t b, int64_t e) {
      for (int64_t p = b; p < e; ++p) {
        T* plane = dx + p * w_.in_plane();
        std::fill_n(plane, w_.in_plane(), T(0));
        for (int64_t r = 0; r < w_.rows(); ++r) {
          const T* from = dy + p * w_.out_plane() + r * width;
          w_.each_tap(r, [&](int64_t source, int64_t first, int64_t last) {
            for (int64_t o = first; o < last; ++o)
              plane[source + o * step] += from[o] * w_.scale<T>(r, o);
          });
        }
      }
    });
  }

 private:
  Window w_;
};

bool fits(const Shape& x) { return x.rank() >= 3 && x.rank() <= 5; }

}  // namespace

std::unique_ptr<Kernel> make_max_pool(Operands in, Operands out, const PoolAttrs& a) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_max_pool(i, o, a); });
  if (!fits(in[0].shape)) return nullptr;
  const Window w(in[0].shape, out[0].shape, a);
  if (in[0].dtype == DType::f32 && has_max_pool_plane(w))
    return std::make_unique<MaxPoolSimd>(w, true);
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<MaxPool<decltype(zero)>>(w);
  });
}

std::unique_ptr<Kernel> make_avg_pool(Operands in, Operands out, const PoolAttrs& a) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_avg_pool(i, o, a); });
  if (!fits(in[0].shape)) return nullptr;
  const Window w(in[0].shape, out[0].shape, a);
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<AvgPool<decltype(zero)>>(w);
  });
}

std::unique_ptr<Kernel> make_avg_pool_grad(Operands in, Operands out, const PoolAttrs& a) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_avg_pool_grad(i, o, a); });
  if (!fits(in[0].shape)) return nullptr;
  const Window w(out[0].shape, in[0].shape, a);
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<AvgPoolGrad<decltype(zero)>>(w);
  });
}

namespace {
PoolAttrs attrs_of(const KernelQuery& q, bool include_pad) {
  return {q.ints("kernel"), q.ints("stride"), q.ints("dilation"), q.ints("pad_low"), include_pad};
}
}  // namespace

KERNEL(max_pool) {
  return q.all_contiguous() ? make_max_pool(q.in, q.out, attrs_of(q, false)) : nullptr;
}

KERNEL(max_pool_values) {
  if (q.in[0].dtype != DType::f32 || !q.all_contiguous() || !fits(q.in[0].shape)) return nullptr;
  const Window w(q.in[0].shape, q.out[0].shape, attrs_of(q, false));
  return has_max_pool_plane(w) ? std::make_unique<MaxPoolSimd>(w, false) : nullptr;
}

KERNEL(avg_pool) {
  if (!q.all_contiguous()) return nullptr;
  return make_avg_pool(q.in, q.out, attrs_of(q, q.flag("include_pad")));
}

KERNEL(avg_pool_grad) {
  if (!q.all_contiguous()) return nullptr;
  return make_avg_pool_grad(q.in, q.out, attrs_of(q, q.flag("include_pad")));
}

}  // namespace nacre::cpu
