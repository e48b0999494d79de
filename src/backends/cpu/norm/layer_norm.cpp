// Layer normalisation and root mean square normalisation, forward and backward.
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

struct Rows {
  int64_t count = 1, size = 1;
  Rows(const Shape& shape, int64_t normalized_rank) {
    const int64_t lead = shape.rank() - normalized_rank;
    for (int64_t i = 0; i < shape.rank(); ++i) (i < lead ? count : size) *= shape[i];
  }
  int64_t grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size)); }
};

template <class T>
class LayerNorm final : public Kernel {
 public:
  LayerNorm(const Rows& rows, size_t inputs, size_t outputs, double eps, bool center)
      : rows_(rows), inputs_(inputs), outputs_(outputs), eps_(eps), center_(center) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  void run(const void* const* in, void* const* out, void*) const override {
    const T* x = static_cast<const T*>(in[0]);
    const T* w = inputs_ > 1 ? static_cast<const T*>(in[1]) : nullptr;
    const T* b = inputs_ > 2 ? static_cast<const T*>(in[2]) : nullptr;
    T* y = static_cast<T*>(out[0]);
    T* means = center_ && outputs_ > 1 ? static_cast<T*>(out[1]) : nullptr;
    const size_t last = center_ ? 2 : 1;
    T* rstds = outputs_ > last ? static_cast<T*>(out[last]) : nullptr;
    const RowLoops<T>& loops = row_loops<T>();
    const int64_t n = rows_.size;
    parallel_for(rows_.count, rows_.grain(), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const T* row = x + i * n;
        const double size = static_cast<double>(n);
        const T mean = center_ ? static_cast<T>(loops.sum(row, n) / size) : T(0);
        const T rstd = static_cast<T>(1 / std::sqrt(loops.sum_squares(row, mean, n) / size + eps_));
        loops.normalize(row, mean, rstd, w, b, y + i * n, n);
        if (means) means[i] = mean;
        if (rstds) rstds[i] = rstd;
      }
    });
  }

 private:
  Rows rows_;
  size_t inputs_, outputs_;
  double eps_;
  bool center_;
};

template <class T>
class LayerNormGrad final : public Kernel {
 public:
  LayerNormGrad(const Rows& rows, bool weighted, size_t outputs, bool center)
      : rows_(rows), weighted_(weighted), outputs_(outputs), center_(center) {
    // Pieces of rows whose weight gradients are summed apart; fixed by the shape.
    pieces_ = std::clamp<int64_t>(rows.count * rows.size / (1 << 16), 1,
                                  std::min<int64_t>(16, std::max<int64_t>(1, rows.count)));
  }
  std::string description() const override { return "simd"; }
  size_t scratch_bytes() const override {
    return outputs_ < 2 ? 0 : static_cast<size_t>(2 * pieces_ * rows_.size) * sizeof(double);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    size_t next = 0;
    const auto input = [&] { return static_cast<const T*>(in[next++]); };
    const T* x = input();
    const T* means = center_ ? input() : nullptr;
    const T* rstds = input();
    const T* w = weighted_ ? input() : nullptr;
    const T* dy = input();
    T* dx = static_cast<T*>(out[0]);
    const RowLoops<T>& loops = row_loops<T>();
    const int64_t n = rows_.size;
    double* sums = static_cast<double*>(scratch);
    parallel_for(pieces_, 1, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; ++p) {
        double* dw = outputs_ > 1 ? sums + 2 * p * n : nullptr;
        double* db = outputs_ > 2 ? dw + n : nullptr;
        if (dw) std::fill_n(dw, 2 * n, 0.0);
        for (int64_t i = rows_.count * p / pieces_; i < rows_.count * (p + 1) / pieces_; ++i) {
          const T *row = x + i * n, *g = dy + i * n;
          const T mean = means ? means[i] : T(0), rstd = rstds[i];
          double s[2];
          loops.dot_pair(row, mean, w, g, n, s);
          const double size = static_cast<double>(n), r = static_cast<double>(rstd);
          const T c1 = center_ ? static_cast<T>(s[0] / size) : T(0);
          loops.normalize_grad(row, mean, w, g, rstd, c1, static_cast<T>(r * r * s[1] / size),
                               dx + i * n, n);
          if (dw) loops.add_weight_grad(row, mean, rstd, g, dw, db, n);
        }
      }
    });
    for (size_t k = 1; k < outputs_; ++k) {
      T* total = static_cast<T*>(out[k]);
      for (int64_t c = 0; c < n; ++c) {
        double s = 0;
        for (int64_t p = 0; p < pieces_; ++p)
          s += sums[(2 * p + static_cast<int64_t>(k) - 1) * n + c];
        total[c] = static_cast<T>(s);
      }
    }
  }

 private:
  Rows rows_;
  bool weighted_;
  size_t outputs_;
  bool center_;
  int64_t pieces_;
};

/// True if all operands are contiguous and of the first one's type, a float.
bool plain(Operands in, Operands out) {
  const DType t = in[0].dtype;
  const auto fits = [&](const Operand& o) { return o.dtype == t && o.contiguous(); };
  return is_float(t) && std::all_of(in.begin(), in.end(), fits) &&
         std::all_of(out.begin(), out.end(), fits);
}

}  // namespace

std::unique_ptr<Kernel> make_layer_norm(Operands in, Operands out, int64_t normalized_rank,
                                        double eps, bool center) {
  if (normalized_rank < 0 || normalized_rank > in[0].shape.rank()) return nullptr;
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) {
      return make_layer_norm(i, o, normalized_rank, eps, center);
    });
  if (!plain(in, out)) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<LayerNorm<decltype(zero)>>(Rows(in[0].shape, normalized_rank),
                                                       in.size(), out.size(), eps, center);
  });
}

std::unique_ptr<Kernel> make_layer_norm_grad(Operands in, Operands out, int64_t normalized_rank,
                                             bool center) {
  if (normalized_rank < 0 || normalized_rank > in[0].shape.rank()) return nullptr;
  const size_t least = center ? 4 : 3;
  if (in.size() < least || in.size() > least + 1) return nullptr;
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) {
      return make_layer_norm_grad(i, o, normalized_rank, center);
    });
  if (!plain(in, out)) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<LayerNormGrad<decltype(zero)>>(Rows(in[0].shape, normalized_rank),
                                                           in.size() > least, out.size(), center);
  });
}

}  // namespace nacre::cpu
