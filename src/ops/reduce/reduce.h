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

// Largest and smallest elements.

/// As infer_reduce, where every result needs an element.
void infer_reduce_nonempty(Infer& in);
/// Elements equal to the result share its gradient equally.
void extremum_vjp(Vjp& v);

// Where they are, along one dimension (DimAttrs).

/// Shape rule: i64, without the dimension, which must not be empty.
void infer_position(Infer& in);
/// The node of an op with that shape rule; keepdim leaves the dimension with size 1.
Tensor make_position(const OpDef& op, const Tensor& x, int64_t dim, bool keepdim);

/// The first element that better(element, best so far) prefers; NaN before all others.
template <typename F>
void find_positions(Ref& r, F better) {
  const Around a = around(r.in().shape, r.attrs<DimAttrs>().dim);
  const auto run = [&](const auto* x) {
    for (int64_t k = 0; k < r.out().n; ++k) {
      const auto* row = x + k / a.inner * a.size * a.inner + k % a.inner;
      int64_t best = 0;
      for (int64_t j = 1; j < a.size; ++j) {
        const auto v = row[j * a.inner], top = row[best * a.inner];
        if (better(v, top) || (v != v && top == top)) best = j;
      }
      r.out().i[k] = best;
    }
  };
  if (r.in().floating())
    run(r.in().d);
  else
    run(r.in().i);
}

}  // namespace nacre
