// cholesky, solve, inverse, det, slogdet, eigh, svd, qr, triangular_solve, batched over leading
// dimensions. LAPACK reads our row-major matrices as their transposes; each function says how that
// is put to use.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/blas.h"
#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

// Calls one() for each matrix of the batch; a batch of one leaves the threads to the library.
class Batched : public Kernel {
 public:
  Batched(const char* op, int64_t count) : op_(op), count_(count), workers_(num_threads()) {}
  std::string description() const override { return "lapack"; }
  size_t scratch_bytes() const final {
    return count_ ? static_cast<size_t>(std::min(count_, workers_)) * matrix_bytes() : 0;
  }
  void run(const void* const* in, void* const* out, void* scratch) const final {
    const int64_t workers = std::min(count_, workers_);
    const auto worker = [&](int64_t w) {
      char* mine = static_cast<char*>(scratch) + static_cast<size_t>(w) * matrix_bytes();
      for (int64_t i = count_ * w / workers; i < count_ * (w + 1) / workers; ++i)
        one(i, in, out, mine);
    };
    if (workers == 1)
      worker(0);
    else
      parallel_for(workers, 1, [&](int64_t b, int64_t e) {
        for (int64_t w = b; w < e; ++w) worker(w);
      });
  }

 protected:
  virtual size_t matrix_bytes() const = 0;  // scratch for one matrix
  virtual void one(int64_t i, const void* const* in, void* const* out, char* scratch) const = 0;
  [[noreturn]] void bad(int64_t matrix, std::initializer_list<Piece> why) const {
    fail(Error::Kind::numeric, {"[", op_, "] matrix ", matrix, " ", cat(why)});
  }
  template <typename T>
  void check_finite(int64_t matrix, const T* a, int64_t n) const {
    for (int64_t i = 0; i < n; ++i)
      if (!std::isfinite(a[i])) bad(matrix, {"contains NaN or infinity"});
  }

 private:
  const char* op_;
  int64_t count_, workers_;
};

// Hands out aligned pieces of scratch.
class Arena {
 public:
  explicit Arena(char* p) : at_(p) {}
  template <typename T>
  T* take(int64_t n) {
    auto* p = reinterpret_cast<T*>(at_);
    at_ += align64(static_cast<size_t>(n) * sizeof(T));
    return p;
  }

 private:
  char* at_;
};

template <typename T>
size_t room(int64_t n) {
  return align64(static_cast<size_t>(n) * sizeof(T));
}

// The symmetric matrix is its own transpose; the upper factor that LAPACK writes is our lower one.
template <typename T>
class Cholesky final : public Batched {
 public:
  Cholesky(int64_t count, int64_t n) : Batched("cholesky", count), n_(n) {}

 private:
  size_t matrix_bytes() const override { return 0; }
  void one(int64_t i, const void* const* in, void* const* out, char*) const override {
    const T* a = static_cast<const T*>(in[0]) + i * n_ * n_;
    T* l = static_cast<T*>(out[0]) + i * n_ * n_;
    for (int64_t r = 0; r < n_; ++r) {
      std::copy_n(a + r * n_, r + 1, l + r * n_);
      std::fill_n(l + r * n_ + r + 1, n_ - r - 1, T(0));
    }
    const int info = blas::potrf(n_, l);
    if (info) bad(i, {"is not positive definite (leading minor of order ", info, ")"});
  }
  int64_t n_;
};

enum class LuUse { inverse, det, slogdet };

// The factors are those of the transpose: same determinant, inverse transposed in turn.
template <typename T, LuUse Use>
class Lu final : public Batched {
 public:
  Lu(const char* op, int64_t count, int64_t n)
      : Batched(op, count), n_(n), work_(blas::getri_work(n, T{})) {}

 private:
  static constexpr bool kInverse = Use == LuUse::inverse;
  size_t matrix_bytes() const override {
    return room<int>(n_) + (kInverse ? room<T>(work_) : room<T>(n_ * n_));
  }
  void one(int64_t i, const void* const* in, void* const* out, char* scratch) const override {
    Arena arena(scratch);
    int* pivots = arena.take<int>(n_);
    T* f = kInverse ? static_cast<T*>(out[0]) + i * n_ * n_ : arena.take<T>(n_ * n_);
    std::copy_n(static_cast<const T*>(in[0]) + i * n_ * n_, n_ * n_, f);
    const int info = blas::getrf(n_, f, pivots);
    if constexpr (kInverse) {
      if (info) bad(i, {"is singular (pivot ", info - 1, " is zero)"});
      blas::getri(n_, f, pivots, arena.take<T>(work_), work_);
    } else {
      double det = 1, log = 0, sign = 1;
      for (int64_t k = 0; k < n_; ++k) {
        const double pivot = static_cast<double>(f[k * n_ + k]) * (pivots[k] == k + 1 ? 1 : -1);
        det *= pivot;
        log += std::log(std::fabs(pivot));
        sign *= pivot < 0 ? -1 : pivot == 0 ? 0 : pivot > 0 ? 1 : pivot;
      }
      if (Use == LuUse::det) {
        static_cast<T*>(out[0])[i] = static_cast<T>(det);
      } else {
        static_cast<T*>(out[0])[i] = static_cast<T>(sign);
        static_cast<T*>(out[1])[i] = static_cast<T>(log);
      }
    }
  }
  int64_t n_, work_;
};

// The factors of the transpose solve the transposed system, which is ours.
template <typename T>
class Solve final : public Batched {
 public:
  Solve(int64_t count, int64_t n, int64_t k) : Batched("solve", count), n_(n), k_(k) {}

 private:
  size_t matrix_bytes() const override {
    return room<int>(n_) + room<T>(n_ * n_) + room<T>(n_ * k_);
  }
  void one(int64_t i, const void* const* in, void* const* out, char* scratch) const override {
    Arena arena(scratch);
    int* pivots = arena.take<int>(n_);
    T* f = arena.take<T>(n_ * n_);
    T* columns = arena.take<T>(n_ * k_);
    std::copy_n(static_cast<const T*>(in[0]) + i * n_ * n_, n_ * n_, f);
    const T* b = static_cast<const T*>(in[1]) + i * n_ * k_;
    T* x = static_cast<T*>(out[0]) + i * n_ * k_;
    const int info = blas::getrf(n_, f, pivots);
    if (info) bad(i, {"is singular (pivot ", info - 1, " is zero)"});
    for (int64_t r = 0; r < n_; ++r)
      for (int64_t c = 0; c < k_; ++c) columns[c * n_ + r] = b[r * k_ + c];
    blas::getrs(true, n_, k_, f, pivots, columns);
    for (int64_t r = 0; r < n_; ++r)
      for (int64_t c = 0; c < k_; ++c) x[r * k_ + c] = columns[c * n_ + r];
  }
  int64_t n_, k_;
};

template <typename T>
class TriangularSolve final : public Batched {
 public:
  TriangularSolve(int64_t count, int64_t n, int64_t k, bool lower, bool transpose, bool unit)
      : Batched("triangular_solve", count),
        n_(n),
        k_(k),
        lower_(lower),
        transpose_(transpose),
        unit_(unit) {}

 private:
  size_t matrix_bytes() const override { return 0; }
  void one(int64_t i, const void* const* in, void* const* out, char*) const override {
    const T* a = static_cast<const T*>(in[0]) + i * n_ * n_;
    T* x = static_cast<T*>(out[0]) + i * n_ * k_;
    if (!unit_)
      for (int64_t d = 0; d < n_; ++d)
        if (a[d * n_ + d] == T(0)) bad(i, {"is singular (diagonal entry ", d, " is zero)"});
    std::copy_n(static_cast<const T*>(in[1]) + i * n_ * k_, n_ * k_, x);
    if (n_ && k_) blas::trsm(lower_, transpose_, unit_, n_, k_, a, x);
  }
  int64_t n_, k_;
  bool lower_, transpose_, unit_;
};

// LAPACK leaves the eigenvectors as columns, which are our rows: one transposition.
template <typename T>
class Eigh final : public Batched {
 public:
  Eigh(int64_t count, int64_t n) : Batched("eigh", count), n_(n), work_(blas::syevd_work(n, T{})) {}

 private:
  size_t matrix_bytes() const override {
    return room<T>(n_ * n_) + room<T>(work_) + room<int>(blas::syevd_integers(n_));
  }
  void one(int64_t i, const void* const* in, void* const* out, char* scratch) const override {
    Arena arena(scratch);
    T* a = arena.take<T>(n_ * n_);
    std::copy_n(static_cast<const T*>(in[0]) + i * n_ * n_, n_ * n_, a);
    check_finite(i, a, n_ * n_);
    T* work = arena.take<T>(work_);
    const int info = blas::syevd(n_, a, static_cast<T*>(out[0]) + i * n_, work, work_,
                                 arena.take<int>(blas::syevd_integers(n_)));
    if (info) bad(i, {"has eigenvalues that did not converge"});
    T* v = static_cast<T*>(out[1]) + i * n_ * n_;
    for (int64_t r = 0; r < n_; ++r)
      for (int64_t c = 0; c < n_; ++c) v[r * n_ + c] = a[c * n_ + r];
  }
  int64_t n_, work_;
};

// The transpose is V S Ut: LAPACK's left vectors are our right ones, both in our order.
template <typename T>
class Svd final : public Batched {
 public:
  Svd(int64_t count, int64_t m, int64_t n)
      : Batched("svd", count),
        m_(m),
        n_(n),
        k_(std::min(m, n)),
        work_(blas::gesdd_work(n, m, T{})) {}

 private:
  size_t matrix_bytes() const override {
    return room<T>(m_ * n_) + room<T>(work_) + room<int>(8 * k_);
  }
  void one(int64_t i, const void* const* in, void* const* out, char* scratch) const override {
    if (k_ == 0) return;
    Arena arena(scratch);
    T* a = arena.take<T>(m_ * n_);
    std::copy_n(static_cast<const T*>(in[0]) + i * m_ * n_, m_ * n_, a);
    check_finite(i, a, m_ * n_);
    T* work = arena.take<T>(work_);
    const int info = blas::gesdd(
        n_, m_, a, static_cast<T*>(out[1]) + i * k_, static_cast<T*>(out[2]) + i * k_ * n_,
        static_cast<T*>(out[0]) + i * m_ * k_, work, work_, arena.take<int>(8 * k_));
    if (info) bad(i, {"has singular values that did not converge"});
  }
  int64_t m_, n_, k_, work_;
};

// The LQ factors of the transpose are the transposes of our QR factors, each in our order.
template <typename T>
class Qr final : public Batched {
 public:
  Qr(int64_t count, int64_t m, int64_t n)
      : Batched("qr", count), m_(m), n_(n), k_(std::min(m, n)), work_(blas::lq_work(n, m, T{})) {}

 private:
  size_t matrix_bytes() const override { return room<T>(m_ * n_) + room<T>(k_) + room<T>(work_); }
  void one(int64_t i, const void* const* in, void* const* out, char* scratch) const override {
    if (k_ == 0) return;
    Arena arena(scratch);
    T* a = arena.take<T>(m_ * n_);
    T* tau = arena.take<T>(k_);
    T* work = arena.take<T>(work_);
    std::copy_n(static_cast<const T*>(in[0]) + i * m_ * n_, m_ * n_, a);
    blas::gelqf(n_, m_, a, tau, work, work_);
    T* q = static_cast<T*>(out[0]) + i * m_ * k_;
    T* r = static_cast<T*>(out[1]) + i * k_ * n_;
    for (int64_t row = 0; row < k_; ++row) {
      std::fill_n(r + row * n_, row, T(0));
      std::copy_n(a + row * n_ + row, n_ - row, r + row * n_ + row);
    }
    blas::orglq(k_, m_, a, n_, tau, work, work_);
    for (int64_t row = 0; row < m_; ++row) std::copy_n(a + row * n_, k_, q + row * k_);
  }
  int64_t m_, n_, k_, work_;
};

int64_t batch_of(const Shape& s, int64_t matrix_rank) {
  return s.slice(0, s.rank() - matrix_rank).numel();
}

// LAPACK counts in int.
bool fits(const Operand& o) {
  constexpr int64_t most = 1 << 15;
  return o.shape.rank() >= 2 && o.shape[-1] <= most && o.shape[-2] <= most;
}

// Right-hand sides for each matrix: one if b is a batch of vectors.
int64_t columns_of(const Operand& a, const Operand& b) {
  return b.shape.rank() < a.shape.rank() ? 1 : b.shape[-1];
}

}  // namespace

std::unique_ptr<Kernel> make_cholesky(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<Cholesky<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_inverse(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    using K = Lu<decltype(t), LuUse::inverse>;
    return std::make_unique<K>("inverse", batch_of(in[0].shape, 2), in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_det(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    using K = Lu<decltype(t), LuUse::det>;
    return std::make_unique<K>("det", batch_of(in[0].shape, 2), in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_slogdet(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    using K = Lu<decltype(t), LuUse::slogdet>;
    return std::make_unique<K>("slogdet", batch_of(in[0].shape, 2), in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_solve(Operands in, Operands) {
  if (!fits(in[0]) || in[1].dtype != in[0].dtype) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<Solve<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-1],
                                                columns_of(in[0], in[1]));
  });
}

std::unique_ptr<Kernel> make_triangular_solve(Operands in, Operands, bool lower, bool transpose,
                                              bool unit) {
  if (!fits(in[0]) || in[1].dtype != in[0].dtype) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<TriangularSolve<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-1],
                                                          columns_of(in[0], in[1]), lower,
                                                          transpose, unit);
  });
}

std::unique_ptr<Kernel> make_eigh(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<Eigh<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_svd(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<Svd<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-2],
                                              in[0].shape[-1]);
  });
}

std::unique_ptr<Kernel> make_qr(Operands in, Operands) {
  if (!fits(in[0])) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<Qr<decltype(t)>>(batch_of(in[0].shape, 2), in[0].shape[-2],
                                             in[0].shape[-1]);
  });
}

KERNEL(cholesky) { return q.all_contiguous() ? make_cholesky(q.in, q.out) : nullptr; }

KERNEL(solve) { return q.all_contiguous() ? make_solve(q.in, q.out) : nullptr; }

KERNEL(inverse) { return q.all_contiguous() ? make_inverse(q.in, q.out) : nullptr; }

KERNEL(det) { return q.all_contiguous() ? make_det(q.in, q.out) : nullptr; }

KERNEL(slogdet) { return q.all_contiguous() ? make_slogdet(q.in, q.out) : nullptr; }

KERNEL(eigh) { return q.all_contiguous() ? make_eigh(q.in, q.out) : nullptr; }

KERNEL(svd) { return q.all_contiguous() ? make_svd(q.in, q.out) : nullptr; }

KERNEL(qr) { return q.all_contiguous() ? make_qr(q.in, q.out) : nullptr; }

KERNEL(triangular_solve) {
  if (!q.all_contiguous()) return nullptr;
  return make_triangular_solve(q.in, q.out, q.flag("lower"), q.flag("transpose"), q.flag("unit"));
}

}  // namespace nacre::cpu
