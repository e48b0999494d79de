// The one place that knows OpenBLAS and LAPACK. BLAS calls are row-major, LAPACK calls
// column-major: a dense row-major matrix is its own transpose there. Each LAPACK call has an
// overload for float and double and returns LAPACK's info (0 is success). `work` has the size that
// the *_work functions give, in elements.
#pragma once

#include <cstdint>
#include <string>

namespace nacre::cpu::blas {

/// C = A B + beta C; `ta` means that A is stored transposed.
void dgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double* a, int64_t lda,
           const double* b, int64_t ldb, double beta, double* c, int64_t ldc);

/// B := op(A)^-1 B for triangular A [n, n] and B [n, k].
void trsm(bool lower, bool transpose, bool unit, int64_t n, int64_t k, const float* a, float* b);
void trsm(bool lower, bool transpose, bool unit, int64_t n, int64_t k, const double* a, double* b);

/// Cholesky, in place, upper triangle.
int potrf(int64_t n, float* a);
int potrf(int64_t n, double* a);

/// LU with partial pivoting, in place.
int getrf(int64_t n, float* a, int* pivots);
int getrf(int64_t n, double* a, int* pivots);
/// Solves op(A) X = B with the factors of getrf; B is n x k, column-major.
int getrs(bool transpose, int64_t n, int64_t k, const float* a, const int* pivots, float* b);
int getrs(bool transpose, int64_t n, int64_t k, const double* a, const int* pivots, double* b);
/// The inverse from the factors of getrf.
int getri(int64_t n, float* a, const int* pivots, float* work, int64_t size);
int getri(int64_t n, double* a, const int* pivots, double* work, int64_t size);
int64_t getri_work(int64_t n, float);
int64_t getri_work(int64_t n, double);

/// Eigenvalues (ascending) and vectors (over a, as columns) of a symmetric matrix in its upper
/// triangle. `integers` has syevd_integers(n) entries.
int syevd(int64_t n, float* a, float* w, float* work, int64_t size, int* integers);
int syevd(int64_t n, double* a, double* w, double* work, int64_t size, int* integers);
int64_t syevd_work(int64_t n, float);
int64_t syevd_work(int64_t n, double);
int64_t syevd_integers(int64_t n);

/// Thin singular value decomposition of an m x n matrix (destroyed): u is m x k, vt k x n, k the
/// lesser. `integers` has 8 k entries.
int gesdd(int64_t m, int64_t n, float* a, float* s, float* u, float* vt, float* work, int64_t size,
          int* integers);
int gesdd(int64_t m, int64_t n, double* a, double* s, double* u, double* vt, double* work,
          int64_t size, int* integers);
int64_t gesdd_work(int64_t m, int64_t n, float);
int64_t gesdd_work(int64_t m, int64_t n, double);

/// LQ factors of an m x n matrix, in place, and then the first k rows of Q from them.
int gelqf(int64_t m, int64_t n, float* a, float* tau, float* work, int64_t size);
int gelqf(int64_t m, int64_t n, double* a, double* tau, double* work, int64_t size);
int orglq(int64_t k, int64_t n, float* a, int64_t lda, const float* tau, float* work, int64_t size);
int orglq(int64_t k, int64_t n, double* a, int64_t lda, const double* tau, double* work,
          int64_t size);
/// Work for both.
int64_t lq_work(int64_t m, int64_t n, float);
int64_t lq_work(int64_t m, int64_t n, double);

/// "OpenBLAS 0.3.21 ...".
std::string version();
/// The kernels to ask for by OPENBLAS_CORETYPE, where the library took its slowest because it does
/// not know this newer processor; "" where it did well.
std::string better_core();

}  // namespace nacre::cpu::blas
