// What reductions share.
#pragma once

#include "ops/op.h"

namespace nacre {

struct ReduceAttrs {
  Ints dims;  ///< sorted, 0..rank-1
  bool keepdim = false;
  void fields(FieldVisitor& v) {
    v("dims", dims);
    v("keepdim", keepdim);
  }
};

/// The shape left after reducing.
Shape reduced_shape(const Shape& in, const ReduceAttrs& attrs);
/// Shape rule: type of the input, reduced shape.
void infer_reduce(Infer& in);
/// Number of elements that each result is made of.
double reduced_count(const Shape& in, const ReduceAttrs& attrs);
/// A reduced tensor broadcast back to the shape it was reduced from.
Tensor expand_reduced(const Tensor& y, const Shape& shape, const ReduceAttrs& attrs);

/// Sums and products of bool and narrow integers are taken in i64.
Tensor widened(const Tensor& x);

/// Calls f(i, o) for each element i of the input and the element o of the output that it is reduced
/// into.
template <typename F>
void for_reduced(Ref& r, F f) {
  const Shape& shape = r.in().shape;
  const ReduceAttrs& a = r.attrs<ReduceAttrs>();
  Shape kept = shape;
  for (int64_t d : a.dims) kept[d] = 1;
  for (int64_t i = 0; i < r.in().n; ++i) f(i, broadcast_index(i, shape, kept));
}

}  // namespace nacre
