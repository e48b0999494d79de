// What op files share.
#pragma once

#include <cmath>
#include <utility>

#include "graph/node.h"
#include "nacre/op.h"
#include "nacre/ops.h"

namespace nacre {

/// Both operands in their common type; numbers written in C++ give way to tensors.
std::pair<Tensor, Tensor> unify(const Tensor& a, const Tensor& b);
std::pair<Tensor, Tensor> unify(In&& a, In&& b);
/// As unify, and integers become f32: for ops such as division whose result is floating.
std::pair<Tensor, Tensor> unify_float(const Tensor& a, const Tensor& b);
std::pair<Tensor, Tensor> unify_float(In&& a, In&& b);
/// A node of two operands: make(op_add, unify(a, b)).
inline Tensor make(const OpDef& op, std::pair<Tensor, Tensor> in) {
  Tensor both[] = {std::move(in.first), std::move(in.second)};
  return make_from(op, Attrs(), both);
}

/// Integers and bool become f32, floating tensors stay.
Tensor as_float(const Tensor& t);

/// g summed over the dimensions along which `shape` was broadcast to the shape of g.
Tensor sum_to_shape(const Tensor& g, const Shape& shape);

/// normalize_dim and normalize_dims of nacre/shape.h, with Errors that name the op.
int64_t normalize_dim(const OpDef& op, int64_t dim, int64_t rank);
Ints normalize_dims(const OpDef& op, const Ints& dims, int64_t rank);

/// Position of element k of `out` in an operand of shape `in` that broadcasts to it.
int64_t broadcast_index(int64_t k, const Shape& out, const Shape& in);

/// Attributes of ops along one dimension, 0..rank-1.
struct DimAttrs {
  int64_t dim = 0;
  void fields(FieldVisitor& v) { v("dim", dim); }
};

/// The sizes around a dimension: elements are [outer][size][inner].
struct Around {
  int64_t outer = 1, size = 1, inner = 1;
};
Around around(const Shape& shape, int64_t dim);

}  // namespace nacre
