// Batch normalisation. A channel is many planes of `plane` contiguous elements; where planes are
// short, the tensor is worked on as rows of all channels.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/cpu/norm/norm.h"
#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kGrain = 1 << 13;  // elements per thread at least

struct Channels {
  int64_t batch = 1, count = 1, plane = 1;
  explicit Channels(const Shape& s) : batch(s[0]), count(s[1]) {
    for (int64_t i = 2; i < s.rank(); ++i) plane *= s[i];
  }
  int64_t size() const { return batch * plane; }  ///< elements of one channel
  bool short_planes() const { return plane < 8; }
  int64_t row() const { return count * plane; }
  int64_t grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size())); }
  int64_t plane_grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, plane)); }
};

/// y = (x - mean) scale + bias, per channel.
template <class T>
void apply(const Channels& s, const T* x, const T* mean, const T* scale, const T* bias, T* y) {
  if (s.short_planes()) {
    parallel_for(s.batch, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, s.row())),
                 [&](int64_t from, int64_t to) {
                   for (int64_t n = from; n < to; ++n) {
                     const T* in = x + n * s.row();
                     T* out = y + n * s.row();
                     if (s.plane == 1) {
#pragma GCC ivdep
                       for (int64_t c = 0; c < s.count; ++c)
                         out[c] = (in[c] - mean[c]) * scale[c] + bias[c];
                       continue;
                     }
                     for (int64_t c = 0; c < s.count; ++c)
                       for (int64_t i = c * s.plane; i < (c + 1) * s.plane; ++i)
                         out[i] = (in[i] - mean[c]) * scale[c] + bias[c];
                   }
                 });
    return;
  }
  const RowLoops<T>& loops = row_loops<T>();
  parallel_for(s.batch * s.count, s.plane_grain(), [&](int64_t from, int64_t to) {
    for (int64_t p = from; p < to; ++p) {
      const int64_t c = p % s.count;
      loops.affine(x + p * s.plane, mean[c], scale[c], bias[c], y + p * s.plane, s.plane);
    }
  });
}

template <class T>
class BatchNormTrain final : public Kernel {
 public:
  BatchNormTrain(const Channels& s, double eps) : s_(s), eps_(eps) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(s_.short_planes() ? s_.row() : s_.count) * sizeof(double);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const T *x = static_cast<const T*>(in[0]), *w = static_cast<const T*>(in[1]),
            *b = static_cast<const T*>(in[2]);
    T *mean = static_cast<T*>(out[1]), *var = static_cast<T*>(out[2]);
    if (s_.short_planes())
      statistics_by_rows(x, mean, var, static_cast<double*>(scratch));
    else
      statistics_by_planes(x, mean, var);
    // In place of the sums of statistics_by_rows, which are not needed any more.
    T* scale = static_cast<T*>(scratch);
    for (int64_t c = 0; c < s_.count; ++c)
      scale[c] =
          static_cast<T>(static_cast<double>(w[c]) / std::sqrt(static_cast<double>(var[c]) + eps_));
    apply(s_, x, mean, scale, b, static_cast<T*>(out[0]));
  }

 private:
  void statistics_by_planes(const T* x, T* mean, T* var) const {
    const RowLoops<T>& loops = row_loops<T>();
    const double size = static_cast<double>(s_.size());
    parallel_for(s_.count, s_.grain(), [&](int64_t from, int64_t to) {
      for (int64_t c = from; c < to; ++c) {
        double sum = 0, squares = 0;
        for (int64_t n = 0; n < s_.batch; ++n)
          sum += loops.sum(x + (n * s_.count + c) * s_.plane, s_.plane);
        mean[c] = static_cast<T>(sum / size);
        for (int64_t n = 0; n < s_.batch; ++n)
          squares += loops.sum_squares(x + (n * s_.count + c) * s_.plane, mean[c], s_.plane);
        var[c] = static_cast<T>(squares / size);
      }
    });
  }

  void statistics_by_rows(const T* x, T* mean, T* var, double* sums) const {
    const double size = static_cast<double>(s_.size());
    const auto fold = [&](T* to) {
      for (int64_t c = 0; c < s_.count; ++c) {
        double total = 0;
        for (int64_t i = 0; i < s_.plane; ++i) total += sums[c * s_.plane + i];
        to[c] = static_cast<T>(total / size);
      }
    };
    const int64_t row = s_.row();
    const int64_t grain = std::max<int64_t>(16, kGrain / std::max<int64_t>(1, s_.batch));
    std::fill_n(sums, row, 0.0);
    parallel_for(row, grain, [&](int64_t from, int64_t to) {
      row_loops<T>().column_sum(x + from, row, s_.batch, to - from, sums + from);
    });
    fold(mean);
    std::fill_n(sums, row, 0.0);
    parallel_for(row, grain, [&](int64_t from, int64_t to) {
      for (int64_t n = 0; n < s_.batch; ++n)
        for (int64_t i = from; i < to; ++i) {
          const double v = static_cast<double>(x[n * row + i] - mean[i / s_.plane]);
          sums[i] += v * v;
        }
    });
    fold(var);
  }

  Channels s_;
  double eps_;
};

template <class T>
class BatchNormInfer final : public Kernel {
 public:
  BatchNormInfer(const Channels& s, double eps) : s_(s), eps_(eps) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int in, int) const override { return in == 0; }
  size_t scratch_bytes() const override { return static_cast<size_t>(s_.count) * sizeof(T); }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const T *w = static_cast<const T*>(in[1]), *var = static_cast<const T*>(in[4]);
    T* scale = static_cast<T*>(scratch);
    for (int64_t c = 0; c < s_.count; ++c)
      scale[c] =
          static_cast<T>(static_cast<double>(w[c]) / std::sqrt(static_cast<double>(var[c]) + eps_));
    apply(s_, static_cast<const T*>(in[0]), static_cast<const T*>(in[3]), scale,
          static_cast<const T*>(in[2]), static_cast<T*>(out[0]));
  }

 private:
  Channels s_;
  double eps_;
};

template <class T>
class BatchNormGrad final : public Kernel {
 public:
  BatchNormGrad(const Channels& s, double eps) : s_(s), eps_(eps) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const T *x = static_cast<const T*>(in[0]), *w = static_cast<const T*>(in[1]),
            *mean = static_cast<const T*>(in[2]), *var = static_cast<const T*>(in[3]),
            *dy = static_cast<const T*>(in[4]);
    T *dx = static_cast<T*>(out[0]), *dw = static_cast<T*>(out[1]), *db = static_cast<T*>(out[2]);
    const RowLoops<T>& loops = row_loops<T>();
    const double size = static_cast<double>(s_.size());
    parallel_for(s_.count, s_.grain(), [&](int64_t from, int64_t to) {
      for (int64_t c = from; c < to; ++c) {
        double sums[2] = {0, 0};
        const auto at = [&](int64_t n) { return (n * s_.count + c) * s_.plane; };
        for (int64_t n = 0; n < s_.batch; ++n) {
          double s[2] = {0, 0};
          if (s_.short_planes())
            for (int64_t i = at(n); i < at(n) + s_.plane; ++i) {
              s[0] += static_cast<double>(dy[i]);
              s[1] += static_cast<double>(dy[i] * (x[i] - mean[c]));
            }
          else
            loops.dot_pair(x + at(n), mean[c], nullptr, dy + at(n), s_.plane, s);
          sums[0] += s[0];
          sums[1] += s[1];
        }
        const double rstd = 1 / std::sqrt(static_cast<double>(var[c]) + eps_);
        const T c1 = static_cast<T>(sums[0] / size);
        const T c2 = static_cast<T>(sums[1] * rstd * rstd / size);
        const T scale = static_cast<T>(static_cast<double>(w[c]) * rstd);
        dw[c] = static_cast<T>(sums[1] * rstd);
        db[c] = static_cast<T>(sums[0]);
        for (int64_t n = 0; n < s_.batch; ++n)
          if (s_.short_planes())
            for (int64_t i = at(n); i < at(n) + s_.plane; ++i)
              dx[i] = scale * (dy[i] - c1 - (x[i] - mean[c]) * c2);
          else
            loops.normalize_grad(x + at(n), mean[c], nullptr, dy + at(n), scale, c1, c2, dx + at(n),
                                 s_.plane);
      }
    });
  }

 private:
  Channels s_;
  double eps_;
};

bool plain(Operands in, Operands out, size_t inputs, size_t outputs) {
  if (in.size() != inputs || out.size() != outputs || in[0].shape.rank() < 2) return false;
  const DType t = in[0].dtype;
  const auto fits = [&](const Operand& o) { return o.dtype == t && o.contiguous(); };
  return is_float(t) && std::all_of(in.begin(), in.end(), fits) &&
         std::all_of(out.begin(), out.end(), fits);
}

}  // namespace

std::unique_ptr<Kernel> make_batch_norm_train(Operands in, Operands out, double eps) {
  if (is_half(in[0].dtype))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_batch_norm_train(i, o, eps); });
  if (!plain(in, out, 3, 3)) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<BatchNormTrain<decltype(zero)>>(Channels(in[0].shape), eps);
  });
}

std::unique_ptr<Kernel> make_batch_norm_infer(Operands in, Operands out, double eps) {
  if (is_half(in[0].dtype))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_batch_norm_infer(i, o, eps); });
  if (!plain(in, out, 5, 1)) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<BatchNormInfer<decltype(zero)>>(Channels(in[0].shape), eps);
  });
}

std::unique_ptr<Kernel> make_batch_norm_grad(Operands in, Operands out, double eps) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_batch_norm_grad(i, o, eps); });
  if (!plain(in, out, 5, 3)) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<BatchNormGrad<decltype(zero)>>(Channels(in[0].shape), eps);
  });
}

}  // namespace nacre::cpu
