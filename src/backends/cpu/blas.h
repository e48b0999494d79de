// The one place that knows OpenBLAS and LAPACK. Matrices are row-major and dense unless a leading
// dimension says otherwise. `info` results are LAPACK's: 0 is success.
#pragma once

#include <cstdint>

namespace nacre::cpu::blas {

/// C = A B + beta C, row-major; `ta` means that A is stored transposed.
void dgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
           const double* b, int64_t ldb, double beta, double* c, int64_t ldc);

}  // namespace nacre::cpu::blas
