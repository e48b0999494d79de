// What the ops of linear algebra share. All work on the last two dimensions; leading ones are a
// batch.
#pragma once

#include "ops/op.h"

namespace nacre {

/// f32 or f64, and at least a matrix.
void check_matrix(const Infer& in, size_t i);
/// check_matrix, and as many rows as columns.
void check_square(const Infer& in, size_t i);

/// The leading dimensions.
inline Shape batch_shape(const Shape& s) { return s.slice(0, s.rank() - 2); }
/// A batch of matrices of another size.
Shape matrices(const Shape& batch, int64_t rows, int64_t columns);

/// The shape of the product of inputs 0 and 1, whose leading dimensions broadcast.
Shape product_shape(Infer& in);

/// a and b with their leading dimensions broadcast to each other. b is a batch of vectors if it has
/// one dimension, or the shape of a without its last: then `vector` is set and it gets a column.
struct System {
  Tensor a, b;
  bool vector = false;
};
System make_system(const OpDef& op, const Tensor& a, const Tensor& b);

/// A square matrix in place as its LU factors with partial pivoting; perm[i] is the row that came
/// to place i. Returns the sign of the permutation, 0 if a pivot is zero (its number in `pivot`).
int lu_factor(double* a, int64_t n, std::vector<int64_t>& perm, int64_t& pivot);

/// x with its main diagonal multiplied by `by`.
Tensor scaled_diagonal(const Tensor& x, double by);

}  // namespace nacre
