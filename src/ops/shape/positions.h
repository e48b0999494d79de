// Walking the elements of a tensor by position, for reference kernels.
#pragma once

#include "ops/op.h"

namespace nacre {

/// Calls f(k, at) for each element k, in row-major order, at position `at` of a tensor of this
/// shape.
template <typename F>
void for_positions(const Shape& shape, F f) {
  Shape at(shape.size(), 0);
  const int64_t n = shape.numel();
  for (int64_t k = 0; k < n; ++k) {
    f(k, at);
    for (int64_t d = shape.rank(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

/// The offset of a position in memory with these strides.
inline int64_t offset_of(const Shape& at, const Shape& strides) {
  int64_t offset = 0;
  for (int64_t d = 0; d < at.rank(); ++d) offset += at[d] * strides[d];
  return offset;
}

}  // namespace nacre
