#include "backends/cpu/blas.h"

#include <cblas.h>
#include <omp.h>

#include "base/parallel.h"

namespace nacre::cpu::blas {
namespace {

// OpenBLAS runs in the same OpenMP pool and asks it, per calling thread, how many threads to use.
void use_threads() {
  if (!omp_in_parallel() && omp_get_max_threads() != num_threads())
    omp_set_num_threads(num_threads());
}

}  // namespace

void dgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
           const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  use_threads();
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, i(m),
              i(n), i(k), 1.0, a, i(lda), b, i(ldb), beta, c, i(ldc));
}

}  // namespace nacre::cpu::blas
