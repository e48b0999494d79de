// Matrix products of dense row-major matrices for every type that the heavy kernels compute in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "backends/cpu/blas.h"
#include "backends/cpu/dnnl.h"

namespace nacre::cpu {

/// C = A B + beta C, row-major, beta 0 or 1; `ta` means that A is stored transposed. Uses one
/// thread inside a parallel loop.
template <typename T>
void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
          int64_t ldb, int beta, T* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == 0)
      for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, T{});
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    dnnl::sgemm(ta, tb, m, n, k, a, lda, b, ldb, static_cast<float>(beta), c, ldc);
  } else if constexpr (std::is_same_v<T, double>) {
    blas::dgemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
  } else {
    // Rows of C accumulate rows of B, in blocks of k that keep B in the cache. Integers wrap.
    using U = std::make_unsigned_t<T>;
    constexpr int64_t block = 64;
    if (beta == 0)
      for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, T{});
    for (int64_t k0 = 0; k0 < k; k0 += block)
      for (int64_t i = 0; i < m; ++i) {
        T* row = c + i * ldc;
        for (int64_t p = k0; p < std::min(k, k0 + block); ++p) {
          const U x = static_cast<U>(ta ? a[p * lda + i] : a[i * lda + p]);
          const T* y = tb ? b + p : b + p * ldb;
          const int64_t step = tb ? ldb : 1;
          for (int64_t j = 0; j < n; ++j)
            row[j] = static_cast<T>(static_cast<U>(row[j]) + x * static_cast<U>(y[j * step]));
        }
      }
  }
}

}  // namespace nacre::cpu
