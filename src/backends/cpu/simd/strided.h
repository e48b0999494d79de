// Reading operands of any strides in row-major order of a shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nacre/shape.h"

namespace nacre::cpu {

/// Dimensions and strides of an operand, broadcast to a shape, with dimensions merged where the
/// memory allows. A contiguous operand has one dimension of stride 1, a repeated scalar one of
/// stride 0.
struct Layout {
  Shape sizes, strides;
  bool contiguous() const { return sizes.size() == 1 && strides[0] == 1; }
  bool splat() const { return sizes.size() == 1 && strides[0] == 0; }
};

/// `shape` is the operand's, which broadcasts to `to`.
Layout make_layout(const Shape& shape, const Shape& strides, const Shape& to);

/// Copies elements begin .. begin + n - 1 of the layout to out; size is 1, 2, 4 or 8 bytes.
void gather(const Layout& layout, size_t size, const void* base, int64_t begin, int64_t n,
            void* out);

}  // namespace nacre::cpu
