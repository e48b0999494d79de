#include "backends/cpu/attention/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "backends/cpu/copy.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kQueries = 64, kKeys = 256;  // a block of scores: 64 kB of f32

/// Strides of an operand of rank 4 or less, broadcast to `shape`.
std::array<int64_t, 4> strides_in(const Operand& o, const std::array<int64_t, 4>& shape) {
  std::array<int64_t, 4> s{};
  const int64_t shift = 4 - o.shape.rank();
  for (int64_t i = shift; i < 4; ++i)
    s[static_cast<size_t>(i)] =
        o.shape[i - shift] == 1 && shape[static_cast<size_t>(i)] != 1 ? 0 : o.strides[i - shift];
  return s;
}

struct Problem {
  int64_t batch, heads, queries, keys, width, value_width;
  bool causal;
  double scale;
  std::array<int64_t, 4> q{}, k{}, v{}, mask{};
  std::optional<DType> mask_type;

  /// Null if the operands do not fit. The mask, if any, is the last input.
  static std::optional<Problem> of(Operands in, bool masked, bool causal, double scale) {
    for (size_t i = 0; i < 3; ++i)
      if (in[i].shape.rank() != 4 || in[i].dtype != in[0].dtype) return {};
    const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
    Problem p{q[0], q[1], q[2], k[2], q[3], v[3], causal, scale, {}, {}, {}, {}, {}};
    if (!(k == Shape{q[0], q[1], k[2], q[3]}) || !(v == Shape{q[0], q[1], k[2], v[3]})) return {};
    const auto dense_rows = [](const Operand& o) { return o.strides[3] == 1 || o.shape[3] == 1; };
    if (!dense_rows(in[0]) || !dense_rows(in[1]) || !dense_rows(in[2])) return {};
    p.q = strides_in(in[0], {q[0], q[1], q[2], q[3]});
    p.k = strides_in(in[1], {q[0], q[1], k[2], q[3]});
    p.v = strides_in(in[2], {q[0], q[1], k[2], v[3]});
    // The matrix products want rows that do not overlap.
    if (p.keys > 1 && (p.k[2] < p.width || p.v[2] < p.value_width)) return {};
    p.k[2] = std::max(p.k[2], p.width);
    p.v[2] = std::max(p.v[2], p.value_width);
    if (masked) {
      const Operand& m = in.back();
      if (m.shape.rank() > 4 || (m.dtype != DType::boolean && m.dtype != in[0].dtype)) return {};
      p.mask_type = m.dtype;
      p.mask = strides_in(m, {q[0], q[1], q[2], k[2]});
    }
    return p;
  }

  /// Applies mask and causality to scores of queries i0.. and keys j0..: one row.
  template <class T>
  void restrict_row(T* row, const void* mask_memory, int64_t b, int64_t h, int64_t i, int64_t j0,
                    int64_t n) const {
    constexpr T hidden = -std::numeric_limits<T>::infinity();
    if (mask_type) {
      const int64_t at = b * mask[0] + h * mask[1] + i * mask[2] + j0 * mask[3];
      if (*mask_type == DType::boolean) {
        const uint8_t* m = static_cast<const uint8_t*>(mask_memory) + at;
        for (int64_t j = 0; j < n; ++j)
          if (!m[j * mask[3]]) row[j] = hidden;
      } else {
        const T* m = static_cast<const T*>(mask_memory) + at;
        for (int64_t j = 0; j < n; ++j) row[j] += m[j * mask[3]];
      }
    }
    if (causal && i < j0 + n - 1)
      std::fill(row + std::max<int64_t>(0, i - j0 + 1), row + n, hidden);
  }

  /// One past the last key that the queries before `end` may see.
  int64_t visible(int64_t end) const { return causal ? std::min(keys, end) : keys; }
};

template <class T>
class Attention final : public Kernel {
 public:
  Attention(const Problem& p, bool gives_lse) : p_(p), gives_lse_(gives_lse) {
    blocks_ = (p.queries + kQueries - 1) / kQueries;
    units_ = p.batch * p.heads * blocks_;
    pieces_ = std::clamp<int64_t>(units_, 1, num_threads());
  }
  std::string description() const override { return "blocked"; }
  size_t scratch_bytes() const override { return static_cast<size_t>(pieces_) * piece_bytes(); }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    parallel_for(pieces_, 1, [&](int64_t from, int64_t to) {
      for (int64_t piece = from; piece < to; ++piece) {
        char* own = static_cast<char*>(scratch) + static_cast<size_t>(piece) * piece_bytes();
        // Interleaved, since causal blocks differ in length.
        for (int64_t u = piece; u < units_; u += pieces_) block(in, out, own, u);
      }
    });
  }

 private:
  size_t piece_bytes() const {
    return align64(static_cast<size_t>(kQueries * p_.width) * sizeof(T)) +
           align64(static_cast<size_t>(kQueries * kKeys) * sizeof(T));
  }

  void block(const void* const* in, void* const* out, char* scratch, int64_t unit) const {
    const int64_t b = unit / blocks_ / p_.heads, h = unit / blocks_ % p_.heads;
    const int64_t i0 = unit % blocks_ * kQueries, rows = std::min(kQueries, p_.queries - i0);
    const T* q = static_cast<const T*>(in[0]) + b * p_.q[0] + h * p_.q[1] + i0 * p_.q[2];
    const T* k = static_cast<const T*>(in[1]) + b * p_.k[0] + h * p_.k[1];
    const T* v = static_cast<const T*>(in[2]) + b * p_.v[0] + h * p_.v[1];
    const void* mask = p_.mask_type ? in[3] : nullptr;
    const int64_t first_row = (b * p_.heads + h) * p_.queries + i0;
    T* y = static_cast<T*>(out[0]) + first_row * p_.value_width;
    T* scaled = reinterpret_cast<T*>(scratch);
    T* s = reinterpret_cast<T*>(scratch +
                                align64(static_cast<size_t>(kQueries * p_.width) * sizeof(T)));
    const RowLoops<T>& loops = row_loops<T>();
    const T scale = static_cast<T>(p_.scale);
    for (int64_t i = 0; i < rows; ++i)
      loops.affine(q + i * p_.q[2], T(0), scale, T(0), scaled + i * p_.width, p_.width);

    constexpr T none = -std::numeric_limits<T>::infinity();
    T largest[kQueries];
    double sum[kQueries] = {};
    std::fill_n(largest, kQueries, none);
    std::fill_n(y, rows * p_.value_width, T(0));
    const int64_t end = p_.visible(i0 + rows);
    for (int64_t j0 = 0; j0 < end; j0 += kKeys) {
      const int64_t n = std::min(kKeys, end - j0);
      gemm<T>(false, true, rows, n, p_.width, scaled, p_.width, k + j0 * p_.k[2], p_.k[2], 0, s,
              kKeys);
      for (int64_t i = 0; i < rows; ++i) {
        T* row = s + i * kKeys;
        p_.restrict_row(row, mask, b, h, i0 + i, j0, n);
        const T m = static_cast<T>(loops.max(row, n));
        const T now = m > largest[i] || m != m ? m : largest[i];
        if (now == none) {
          std::fill_n(row, n, T(0));
          continue;
        }
        const double shrink = std::exp(static_cast<double>(largest[i]) - static_cast<double>(now));
        sum[i] = sum[i] * shrink + loops.exp_sum(row, now, row, n);
        if (shrink != 1)
          loops.affine(y + i * p_.value_width, T(0), static_cast<T>(shrink), T(0),
                       y + i * p_.value_width, p_.value_width);
        largest[i] = now;
      }
      gemm<T>(false, false, rows, p_.value_width, n, s, kKeys, v + j0 * p_.v[2], p_.v[2], 1, y,
              p_.value_width);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const T inverse = largest[i] == none ? T(0) : static_cast<T>(1 / sum[i]);
      T* row = y + i * p_.value_width;
      loops.affine(row, T(0), inverse, T(0), row, p_.value_width);
      if (gives_lse_)
        static_cast<T*>(out[1])[first_row + i] =
            largest[i] == none ? none
                               : static_cast<T>(static_cast<double>(largest[i]) + std::log(sum[i]));
    }
  }

  Problem p_;
  bool gives_lse_;
  int64_t blocks_, units_, pieces_;
};

/// One head after the other, so that the gradients of keys and values need no locks:
/// P = exp(scale q k^T + mask - lse), dv = P^T dy, dS = P (dy v^T - sum(dy y)),
/// dq = scale dS k, dk = scale dS^T q.
template <class T>
class AttentionGrad final : public Kernel {
 public:
  AttentionGrad(const Problem& p, const std::array<int64_t, 4>& dy) : p_(p), dy_(dy) {
    units_ = p.batch * p.heads;
    pieces_ = std::clamp<int64_t>(units_, 1, num_threads());
  }
  std::string description() const override { return "blocked"; }
  size_t scratch_bytes() const override { return static_cast<size_t>(pieces_) * piece_bytes(); }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    parallel_for(pieces_, 1, [&](int64_t from, int64_t to) {
      for (int64_t piece = from; piece < to; ++piece) {
        char* own = static_cast<char*>(scratch) + static_cast<size_t>(piece) * piece_bytes();
        for (int64_t u = piece; u < units_; u += pieces_) head(in, out, own, u);
      }
    });
  }

 private:
  size_t query_bytes() const {
    return align64(static_cast<size_t>(kQueries * p_.width) * sizeof(T));
  }
  static constexpr size_t kScoreBytes = static_cast<size_t>(kQueries * kKeys) * sizeof(T);
  size_t piece_bytes() const { return query_bytes() + 2 * kScoreBytes; }

  void head(const void* const* in, void* const* out, char* scratch, int64_t unit) const {
    const int64_t b = unit / p_.heads, h = unit % p_.heads, d = p_.width, e = p_.value_width;
    const auto strided = [&](int i, const std::array<int64_t, 4>& s) {
      return static_cast<const T*>(in[i]) + b * s[0] + h * s[1];
    };
    const auto input = [&](int i, int64_t size) {
      return static_cast<const T*>(in[i]) + unit * size;
    };
    const auto output = [&](int i, int64_t size) { return static_cast<T*>(out[i]) + unit * size; };
    const T *q = strided(0, p_.q), *k = strided(1, p_.k), *v = strided(2, p_.v),
            *y = input(3, p_.queries * e), *lse = input(4, p_.queries), *dy = strided(5, dy_);
    T *dq = output(0, p_.queries * d), *dk = output(1, p_.keys * d), *dv = output(2, p_.keys * e);
    const void* mask = p_.mask_type ? in[6] : nullptr;
    T* scaled = reinterpret_cast<T*>(scratch);
    T* weights = reinterpret_cast<T*>(scratch + query_bytes());
    T* ds = reinterpret_cast<T*>(scratch + query_bytes() + kScoreBytes);
    const RowLoops<T>& loops = row_loops<T>();
    const T scale = static_cast<T>(p_.scale);
    std::fill_n(dq, p_.queries * d, T(0));
    std::fill_n(dk, p_.keys * d, T(0));
    std::fill_n(dv, p_.keys * e, T(0));
    for (int64_t i0 = 0; i0 < p_.queries; i0 += kQueries) {
      const int64_t rows = std::min(kQueries, p_.queries - i0);
      const T* dy0 = dy + i0 * dy_[2];
      for (int64_t i = 0; i < rows; ++i)
        loops.affine(q + (i0 + i) * p_.q[2], T(0), scale, T(0), scaled + i * d, d);
      const int64_t end = p_.visible(i0 + rows);
      for (int64_t j0 = 0; j0 < end; j0 += kKeys) {
        const int64_t n = std::min(kKeys, end - j0);
        const T *k0 = k + j0 * p_.k[2], *v0 = v + j0 * p_.v[2];
        gemm<T>(false, true, rows, n, d, scaled, d, k0, p_.k[2], 0, weights, kKeys);
        gemm<T>(false, true, rows, n, e, dy0, dy_[2], v0, p_.v[2], 0, ds, kKeys);
        for (int64_t i = 0; i < rows; ++i) {
          T *w = weights + i * kKeys, *g = ds + i * kKeys;
          const int64_t at = i0 + i;
          if (lse[at] == -std::numeric_limits<T>::infinity()) {  // saw nothing
            std::fill_n(w, n, T(0));
            std::fill_n(g, n, T(0));
            continue;
          }
          p_.restrict_row(w, mask, b, h, at, j0, n);
          loops.exp_sum(w, lse[at], w, n);
          const T c = static_cast<T>(loops.dot(dy0 + i * dy_[2], y + at * e, e));
          loops.softmax_grad(w, g, c, g, n);
        }
        gemm<T>(true, false, n, e, rows, weights, kKeys, dy0, dy_[2], 1, dv + j0 * e, e);
        gemm<T>(true, false, n, d, rows, ds, kKeys, scaled, d, 1, dk + j0 * d, d);
        gemm<T>(false, false, rows, d, n, ds, kKeys, k0, p_.k[2], 1, dq + i0 * d, d);
      }
    }
    loops.affine(dq, T(0), scale, T(0), dq, p_.queries * d);
  }

  Problem p_;
  std::array<int64_t, 4> dy_;
  int64_t units_, pieces_;
};

}  // namespace

std::unique_ptr<Kernel> make_attention(Operands in, Operands out, bool causal, double scale) {
  if (in.size() < 3 || in.size() > 4) return nullptr;
  const DType t = in[0].dtype;
  if (is_half(t))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_attention(i, o, causal, scale); });
  const auto p = Problem::of(in, in.size() == 4, causal, scale);
  for (const Operand& o : out)
    if (o.dtype != t) return nullptr;
  if (!p) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Attention<decltype(zero)>>(*p, out.size() > 1);
  });
}

std::unique_ptr<Kernel> make_attention_grad(Operands in, Operands out, bool causal, double scale) {
  if (in.size() < 6 || in.size() > 7 || out.size() != 3) return nullptr;
  const DType t = in[0].dtype;
  if (is_half(t))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_attention_grad(i, o, causal, scale); });
  for (size_t i = 0; i < 6; ++i)
    if (in[i].dtype != t) return nullptr;
  const auto p = Problem::of(in, in.size() == 7, causal, scale);
  if (!p || !in[3].contiguous() || !in[4].contiguous()) return nullptr;
  auto dy = strides_in(in[5], {p->batch, p->heads, p->queries, p->value_width});
  if (p->value_width > 1 && dy[3] != 1) return nullptr;
  if (p->queries > 1 && dy[2] < p->value_width) return nullptr;
  dy[2] = std::max(dy[2], p->value_width);
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<AttentionGrad<decltype(zero)>>(*p, dy);
  });
}

}  // namespace nacre::cpu
