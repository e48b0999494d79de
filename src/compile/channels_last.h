// Pictures whose channels lie last in memory (rows, NxHxWxC) in a program that means planes
// (NxCxHxW): a value of that kind is to_planes(rows), and ops on it are done on the rows. Shared by
// the passes "precision" and "integers".
#pragma once

#include <utility>

#include "compile/rewrite.h"
#include "ops/nn/rows.h"

namespace nacre {

/// y of to_planes(y); undefined for others.
Tensor rows_of(const Tensor& planes);

/// Planes as rows, put in that order where they lie otherwise.
Tensor ordered_rows(const Tensor& planes);

/// The operands of an elementwise op of NxCxHxW for the same op on rows; empty if none of them that
/// has the size of the result is made of rows.
Tensors operands_as_rows(const Node& n, const Tensors& in);

/// A max_pool, whose places nobody needs, or avg_pool of planes whose rows are `x`, as planes;
/// undefined if no kernel takes it.
Tensor pool_of_rows(const Node& n, const Tensor& x, const CompileOptions& options);

/// A norm of given statistics as x * first + second, a number for each channel.
std::pair<Tensor, Tensor> norm_line(const Node& n, const Tensor& weight, const Tensor& bias,
                                    const Tensor& mean, const Tensor& variance);

}  // namespace nacre
