#include "backends/cpu/blas.h"

#include <cblas.h>
#include <lapacke.h>
#include <omp.h>

#include <algorithm>
#include <string_view>

#include "base/parallel.h"

namespace nacre::cpu::blas {
namespace {

// OpenBLAS runs in the same OpenMP pool and asks it, per calling thread, how many threads to use.
void use_threads() {
  if (!omp_in_parallel() && omp_get_max_threads() != num_threads())
    omp_set_num_threads(num_threads());
}

// Callers check that sizes fit.
int narrow(int64_t v) { return static_cast<int>(v); }
int leading(int64_t v) { return static_cast<int>(std::max<int64_t>(1, v)); }
// LAPACK answers a size query with a floating value, which may have been rounded down.
int64_t size_of_answer(double v) {
  return std::max<int64_t>(1, static_cast<int64_t>(v * 1.0001) + 1);
}

}  // namespace

void dgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
           const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  use_threads();
  cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
              narrow(m), narrow(n), narrow(k), 1.0, a, narrow(lda), b, narrow(ldb), beta, c,
              narrow(ldc));
}

int64_t syevd_integers(int64_t n) { return 3 + 5 * n; }

// Each function once for float (s) and once for double (d).
#define NACRE_LAPACK(T, p)                                                                         \
  void trsm(bool lower, bool transpose, bool unit, int64_t n, int64_t k, const T* a, T* b) {       \
    use_threads();                                                                                 \
    cblas_##p##trsm(CblasRowMajor, CblasLeft, lower ? CblasLower : CblasUpper,                     \
                    transpose ? CblasTrans : CblasNoTrans, unit ? CblasUnit : CblasNonUnit,        \
                    narrow(n), narrow(k), 1, a, leading(n), b, leading(k));                        \
  }                                                                                                \
  int potrf(int64_t n, T* a) {                                                                     \
    use_threads();                                                                                 \
    return LAPACKE_##p##potrf_work(LAPACK_COL_MAJOR, 'U', narrow(n), a, leading(n));               \
  }                                                                                                \
  int getrf(int64_t n, T* a, int* pivots) {                                                        \
    use_threads();                                                                                 \
    return LAPACKE_##p##getrf_work(LAPACK_COL_MAJOR, narrow(n), narrow(n), a, leading(n), pivots); \
  }                                                                                                \
  int getrs(bool transpose, int64_t n, int64_t k, const T* a, const int* pivots, T* b) {           \
    use_threads();                                                                                 \
    return LAPACKE_##p##getrs_work(LAPACK_COL_MAJOR, transpose ? 'T' : 'N', narrow(n), narrow(k),  \
                                   a, leading(n), pivots, b, leading(n));                          \
  }                                                                                                \
  int getri(int64_t n, T* a, const int* pivots, T* work, int64_t size) {                           \
    use_threads();                                                                                 \
    return LAPACKE_##p##getri_work(LAPACK_COL_MAJOR, narrow(n), a, leading(n), pivots, work,       \
                                   narrow(size));                                                  \
  }                                                                                                \
  int64_t getri_work(int64_t n, T) {                                                               \
    T answer = 0;                                                                                  \
    LAPACKE_##p##getri_work(LAPACK_COL_MAJOR, narrow(n), nullptr, leading(n), nullptr, &answer,    \
                            -1);                                                                   \
    return size_of_answer(answer);                                                                 \
  }                                                                                                \
  int syevd(int64_t n, T* a, T* w, T* work, int64_t size, int* integers) {                         \
    use_threads();                                                                                 \
    return LAPACKE_##p##syevd_work(LAPACK_COL_MAJOR, 'V', 'U', narrow(n), a, leading(n), w, work,  \
                                   narrow(size), integers, narrow(syevd_integers(n)));             \
  }                                                                                                \
  int64_t syevd_work(int64_t n, T) {                                                               \
    T answer = 0;                                                                                  \
    int integers = 0;                                                                              \
    LAPACKE_##p##syevd_work(LAPACK_COL_MAJOR, 'V', 'U', narrow(n), nullptr, leading(n), nullptr,   \
                            &answer, -1, &integers, -1);                                           \
    return std::max(size_of_answer(answer), 1 + 6 * n + 2 * n * n);                                \
  }                                                                                                \
  int gesdd(int64_t m, int64_t n, T* a, T* s, T* u, T* vt, T* work, int64_t size, int* integers) { \
    use_threads();                                                                                 \
    return LAPACKE_##p##gesdd_work(LAPACK_COL_MAJOR, 'S', narrow(m), narrow(n), a, leading(m), s,  \
                                   u, leading(m), vt, leading(std::min(m, n)), work, narrow(size), \
                                   integers);                                                      \
  }                                                                                                \
  int64_t gesdd_work(int64_t m, int64_t n, T) {                                                    \
    T answer = 0;                                                                                  \
    LAPACKE_##p##gesdd_work(LAPACK_COL_MAJOR, 'S', narrow(m), narrow(n), nullptr, leading(m),      \
                            nullptr, nullptr, leading(m), nullptr, leading(std::min(m, n)),        \
                            &answer, -1, nullptr);                                                 \
    return size_of_answer(answer);                                                                 \
  }                                                                                                \
  int gelqf(int64_t m, int64_t n, T* a, T* tau, T* work, int64_t size) {                           \
    use_threads();                                                                                 \
    return LAPACKE_##p##gelqf_work(LAPACK_COL_MAJOR, narrow(m), narrow(n), a, leading(m), tau,     \
                                   work, narrow(size));                                            \
  }                                                                                                \
  int orglq(int64_t k, int64_t n, T* a, int64_t lda, const T* tau, T* work, int64_t size) {        \
    use_threads();                                                                                 \
    return LAPACKE_##p##orglq_work(LAPACK_COL_MAJOR, narrow(k), narrow(n), narrow(k), a,           \
                                   leading(lda), tau, work, narrow(size));                         \
  }                                                                                                \
  int64_t lq_work(int64_t m, int64_t n, T) {                                                       \
    T first = 0, second = 0;                                                                       \
    const int64_t k = std::min(m, n);                                                              \
    LAPACKE_##p##gelqf_work(LAPACK_COL_MAJOR, narrow(m), narrow(n), nullptr, leading(m), nullptr,  \
                            &first, -1);                                                           \
    LAPACKE_##p##orglq_work(LAPACK_COL_MAJOR, narrow(k), narrow(n), narrow(k), nullptr,            \
                            leading(m), nullptr, &second, -1);                                     \
    return std::max(size_of_answer(first), size_of_answer(second));                                \
  }

NACRE_LAPACK(float, s)
NACRE_LAPACK(double, d)
#undef NACRE_LAPACK

std::string version() {
  std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ... "
  const size_t end = config.find(' ', config.find(' ') + 1);
  return config.substr(0, end) + " with kernels for " + openblas_get_corename();
}

std::string better_core() {
#if defined(__x86_64__)
  if (std::string_view(openblas_get_corename()) != "Prescott") return {};
  if (__builtin_cpu_supports("avx512bf16")) return "Cooperlake";
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return "SkylakeX";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
  return {};
}

}  // namespace nacre::cpu::blas
