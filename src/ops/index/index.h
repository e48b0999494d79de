// What the ops that read indices share.
#pragma once

#include "ops/op.h"

namespace nacre {

/// The shape of x with dimension dim replaced by the dimensions of the index.
Shape selected_shape(const Shape& x, const Shape& index, int64_t dim);

/// Value k of the index input, counted from the front. Throws Error(data) if it is out of range.
int64_t checked_index(const Ref& r, const RefTensor& index, int64_t k, int64_t dim, int64_t size);

/// The index has the rank of x and is nowhere larger than it, dimension dim aside.
void check_along(const Infer& in, int64_t dim);

/// Calls f(k, to, from) for entry k of an index: `to` is the place it names in x, `from` the place
/// of the entry itself in a tensor of shape `src`, which is at least as large as the index.
template <typename F>
void for_indexed(const Ref& r, const RefTensor& index, const Shape& x, const Shape& src,
                 int64_t dim, F f) {
  const Shape to = contiguous_strides(x), from = contiguous_strides(src);
  for (int64_t k = 0; k < index.n; ++k) {
    int64_t a = checked_index(r, index, k, dim, x[dim]) * to[dim], b = 0, rest = k;
    for (int64_t d = index.shape.rank(); d-- > 0; rest /= index.shape[d]) {
      const int64_t at = rest % index.shape[d];
      if (d != dim) a += at * to[d];
      b += at * from[d];
    }
    f(k, a, b);
  }
}

}  // namespace nacre
