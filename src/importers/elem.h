// Element types by their numbers in ONNX's TensorProto.DataType. A header of its own, so that the
// readers build without the rest of the library (cmake/Fuzz.cmake).
#pragma once

#include <cstdint>

namespace nacre {

enum class Elem : int32_t {
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  string = 8,
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  complex64 = 14,
  complex128 = 15,
  bf16 = 16,
  i4 = 22,
};

}  // namespace nacre
