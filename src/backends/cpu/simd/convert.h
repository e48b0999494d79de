// 16-bit floats to and from f32, rounding to nearest even exactly as nacre/dtype.h does.
#pragma once

#include <cstdint>

#include "nacre/dtype.h"

namespace nacre::cpu {

/// `type` is bf16 or f16.
void widen16(DType type, const uint16_t* in, float* out, int64_t n);
void narrow16(DType type, const float* in, uint16_t* out, int64_t n);
/// narrow16 followed by widen16, in place.
void round16(DType type, float* values, int64_t n);

}  // namespace nacre::cpu
