// Copies between strided and dense memory, and between the 16-bit floats and f32.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "graph/kernel.h"

namespace nacre::cpu {

/// Writes a strided view (strides in elements, any sign or zero) to dense row-major memory.
/// Threaded.
void copy_dense(const Shape& shape, const Shape& strides, size_t element_bytes, const void* from,
                void* to);

/// Bytes that are worth a thread when all it does is copy.
constexpr int64_t kCopyGrain = 1 << 17;

/// Dense conversions bf16/f16 -> f32 and back, rounding to nearest even. Threaded.
void widen(DType from, const void* src, float* dst, int64_t n);
void narrow(DType to, const float* src, void* dst, int64_t n);

/// Rounds a byte count up so that what follows in scratch stays 64-byte aligned.
constexpr size_t align64(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Memory for n numbers, 64-byte aligned and not set to anything.
template <class T>
std::shared_ptr<T[]> aligned_array(int64_t n) {
  constexpr std::align_val_t align{64};
  return {static_cast<T*>(::operator new[](static_cast<size_t>(n) * sizeof(T), align)),
          [](T* p) { ::operator delete[](p, align); }};
}

}  // namespace nacre::cpu
