// Element types of files, and how those that memory does not have are widened.
#pragma once

#include <cstdint>
#include <string_view>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre {

/// Types that files use. int16 and uint16 become i32, uint32 becomes i64, and so does uint64 if all
/// its values fit; both 8-bit floats become f16, which holds all their values.
enum class Element : uint8_t {
  f32,
  f64,
  bf16,
  f16,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  boolean,
  f8_e4m3,
  f8_e5m2
};

struct ElementType {
  std::string_view name;  ///< "f32", "u16", "f8_e4m3"
  size_t size;            ///< bytes in the file
  DType dtype;            ///< in memory
  /// Brings one element of the machine's byte order into memory; null if memory has the same type.
  /// Throws Error(unsupported) for a uint64 beyond int64.
  void (*widen)(const char* from, char* to);
};
const ElementType& element_type(Element element);

/// Copies the elements at index * strides (in elements of the file) to `to`, in row-major order,
/// widened, and with their bytes reversed if `swapped`. The caller has checked that all exist.
void gather_elements(const char* from, char* to, const Shape& shape, const Shape& strides,
                     const ElementType& type, bool swapped);

}  // namespace nacre
