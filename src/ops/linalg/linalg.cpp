#include "ops/linalg/linalg.h"

#include <numeric>

namespace nacre {

void check_matrix(const Infer& in, size_t i) {
  in.check(in.dtype(i) == DType::f32 || in.dtype(i) == DType::f64,
           {"input ", i, " has type ", in.dtype(i), ", f32 or f64 is needed"});
  in.check(in.rank(i) >= 2, {"input ", i, " has rank ", in.rank(i), ", a matrix is needed"});
}

void check_square(const Infer& in, size_t i) {
  check_matrix(in, i);
  in.check(in.shape(i)[-1] == in.shape(i)[-2],
           {"input ", i, " has ", in.shape(i)[-2], " rows and ", in.shape(i)[-1],
            " columns, a square matrix is needed"});
}

Shape matrices(const Shape& batch, int64_t rows, int64_t columns) {
  Shape s = batch;
  s.push_back(rows);
  s.push_back(columns);
  return s;
}

System make_system(const OpDef& op, const Tensor& a, const Tensor& b) {
  auto [x, y] = unify(a, b);
  System s{x, y, false};
  if (x.rank() < 2) return s;  // the shape rule says what is wrong
  s.vector =
      y.rank() == 1 || (y.rank() == x.rank() - 1 && y.shape() == x.shape().slice(0, x.rank() - 1));
  if (s.vector) s.b = unsqueeze(y, -1);
  if (s.b.rank() < 2) return s;
  Shape batch;
  try {
    batch = broadcast_shapes(batch_shape(s.a.shape()), batch_shape(s.b.shape()));
  } catch (const Error& e) {
    fail(e.kind(), {"[", op.name, "] ", e.what(), where()});
  }
  s.a = expand(s.a, matrices(batch, s.a.size(-2), s.a.size(-1)));
  s.b = expand(s.b, matrices(batch, s.b.size(-2), s.b.size(-1)));
  return s;
}

int lu_factor(double* a, int64_t n, std::vector<int64_t>& perm, int64_t& pivot) {
  perm.resize(static_cast<size_t>(n));
  std::iota(perm.begin(), perm.end(), 0);
  int sign = 1;
  for (int64_t c = 0; c < n; ++c) {
    int64_t best = c;
    for (int64_t r = c + 1; r < n; ++r)
      if (std::abs(a[r * n + c]) > std::abs(a[best * n + c])) best = r;
    if (a[best * n + c] == 0) {
      pivot = c;
      return 0;
    }
    if (best != c) {
      std::swap_ranges(a + c * n, a + (c + 1) * n, a + best * n);
      std::swap(perm[static_cast<size_t>(c)], perm[static_cast<size_t>(best)]);
      sign = -sign;
    }
    for (int64_t r = c + 1; r < n; ++r) {
      const double f = a[r * n + c] /= a[c * n + c];
      for (int64_t j = c + 1; j < n; ++j) a[r * n + j] -= f * a[c * n + j];
    }
  }
  return sign;
}

Tensor scaled_diagonal(const Tensor& x, double by) {
  return x + diag_embed(diagonal(x)) * (by - 1);
}

}  // namespace nacre
