// Vector loops between f32 and integers of 8 bits: q = round(x / scale) + zero, halves to even,
// kept within the type (NaN becomes the least), and x = (q - zero) scale.
#pragma once

#include <cstdint>

namespace nacre::cpu {

/// T is uint8_t or int8_t.
template <class T>
struct QuantizeLoops {
  void (*quantize)(const float* x, float scale, float zero, int64_t n, T* q);
  void (*dequantize)(const T* q, float scale, float zero, int64_t n, float* x);
};
template <class T>
const QuantizeLoops<T>& quantize_loops();

}  // namespace nacre::cpu
