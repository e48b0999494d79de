// Element types of ONNX. A header of its own, so that readers of networks build without the rest of
// the library (cmake/Fuzz.cmake).
#pragma once

#include <cstdint>

namespace nacre {

/// Element types, with the numbers of onnx.proto. Those that nacre computes in are held as
/// themselves, the others in the next wider type of nacre's (u16 and i16 in i32; u32 and u64 in
/// i64, u64 by its bits; float8, float6 and float4 in f32; int4 and int2 in i8, uint4 and uint2 in
/// u8).
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
  f8e4m3fn = 17,
  f8e4m3fnuz = 18,
  f8e5m2 = 19,
  f8e5m2fnuz = 20,
  u4 = 21,
  i4 = 22,
  f4e2m1 = 23,
  f8e8m0 = 24,
  u2 = 25,
  i2 = 26,
  f6e2m3 = 27,
  f6e3m2 = 28,
};

}  // namespace nacre
