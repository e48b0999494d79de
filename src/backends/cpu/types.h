// From an element type to the C++ type that computes in it.
#pragma once

#include <cstdint>
#include <memory>

#include "graph/kernel.h"

namespace nacre::cpu {

/// make(T{}) for f32, f64, i32, i64, i8, u8; booleans are u8. Null for the 16-bit floats.
template <typename Make>
std::unique_ptr<Kernel> for_type(DType t, Make make) {
  switch (t) {
    case DType::f32:
      return make(float{});
    case DType::f64:
      return make(double{});
    case DType::i32:
      return make(int32_t{});
    case DType::i64:
      return make(int64_t{});
    case DType::i8:
      return make(int8_t{});
    case DType::u8:
    case DType::boolean:
      return make(uint8_t{});
    default:
      return nullptr;
  }
}

/// make(T{}) for f32 and f64, else null.
template <typename Make>
std::unique_ptr<Kernel> for_float(DType t, Make make) {
  if (t == DType::f32) return make(float{});
  if (t == DType::f64) return make(double{});
  return nullptr;
}

inline bool is_half(DType t) { return t == DType::bf16 || t == DType::f16; }

/// A dense tensor seen as [outer, size, inner] around one dimension.
struct Axis {
  int64_t outer = 1, size = 1, inner = 1;
  Axis(const Shape& shape, int64_t dim) : size(shape[dim]) {
    for (int64_t i = 0; i < dim; ++i) outer *= shape[i];
    for (int64_t i = dim + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

}  // namespace nacre::cpu
