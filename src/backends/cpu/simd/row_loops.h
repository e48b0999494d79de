// Vector loops over rows and over columns of f32 and f64, the parts of reductions, softmax and
// normalisation.
//
//   const RowLoops<float>& loops = row_loops<float>();  // of the best instruction set at hand
//   double s = loops.sum(x, n);
//
// Sums are taken in several lanes within blocks of fixed size and the blocks added in double, so
// that the error does not grow with the length. What is computed does not depend on threads.
#pragma once

#include <cstdint>

namespace nacre::cpu {

template <class T>
struct RowLoops {
  double (*sum)(const T* x, int64_t n);
  /// The largest and the smallest element; NaN if there is one; -inf and inf if n is 0.
  double (*max)(const T* x, int64_t n);
  double (*min)(const T* x, int64_t n);
  /// Sum of (x - c)^2.
  double (*sum_squares)(const T* x, T c, int64_t n);
  /// Sum of x y.
  double (*dot)(const T* x, const T* y, int64_t n);
  /// sums[0] = sum of w dy, sums[1] = sum of w dy (x - c); w may be null for 1.
  void (*dot_pair)(const T* x, T c, const T* w, const T* dy, int64_t n, double* sums);
  /// y = exp(x - c); returns the sum of y. y may be null.
  double (*exp_sum)(const T* x, T c, T* y, int64_t n);
  /// y = (x - c) s + b.
  void (*affine)(const T* x, T c, T s, T b, T* y, int64_t n);
  /// y = (x - c) s w + b; w and b may be null for 1 and 0.
  void (*normalize)(const T* x, T c, T s, const T* w, const T* b, T* y, int64_t n);
  /// dx = s (w dy - c1 - (x - c) c2); w may be null for 1.
  void (*normalize_grad)(const T* x, T c, const T* w, const T* dy, T s, T c1, T c2, T* dx,
                         int64_t n);
  /// dw += dy (x - c) s and db += dy; db may be null.
  void (*add_weight_grad)(const T* x, T c, T s, const T* dy, double* dw, double* db, int64_t n);
  /// dx = y (dy - c).
  void (*softmax_grad)(const T* y, const T* dy, T c, T* dx, int64_t n);
  /// dx = dy - exp(y) c.
  void (*log_softmax_grad)(const T* y, const T* dy, T c, T* dx, int64_t n);
  /// y = start + the sum of w[k] times row rows[k] of x, `width` long, for k < n, in their order; w
  /// may be null for 1 and start for 0. Rows up to rows[ahead - 1] are needed soon.
  void (*gather_sum)(const T* start, const T* x, const int32_t* rows, const T* w, int64_t n,
                     int64_t ahead, int64_t width, T* y);

  // Down `cols` columns of `rows` rows that are `stride` elements apart:
  /// acc += the sum of each column, or the larger or smaller of acc and the column.
  void (*column_sum)(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc);
  void (*column_max)(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc);
  void (*column_min)(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc);
  /// Softmax or its logarithm of each column, and the gradient.
  void (*column_softmax)(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols, bool log);
  void (*column_softmax_grad)(const T* y, const T* dy, T* dx, int64_t stride, int64_t rows,
                              int64_t cols, bool log);
};

/// T is float or double.
template <class T>
const RowLoops<T>& row_loops();

}  // namespace nacre::cpu
