// The element types of a tensor.
//
// Arithmetic is done in f32, f64 and the integer types; bf16 and f16 are storage types whose
// arithmetic is f32 rounded once per operator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nacre {

enum class DType : uint8_t { f32, f64, bf16, f16, i8, u8, i32, i64, boolean };

inline constexpr int kDTypeCount = 9;

/// Bytes of one element.
constexpr size_t size_of(DType t) {
  constexpr size_t sizes[] = {4, 8, 2, 2, 1, 1, 4, 8, 1};
  return sizes[static_cast<int>(t)];
}

constexpr bool is_float(DType t) { return static_cast<int>(t) <= static_cast<int>(DType::f16); }
constexpr bool is_integer(DType t) { return !is_float(t) && t != DType::boolean; }

/// "f32", "i64", "bool", ...
std::string_view name_of(DType t);

/// The type with that name. Throws Error if there is none.
DType dtype_from_name(std::string_view name);

/// The type of a result of operands of both types: boolean < u8, i8 < i32 < i64 < f16, bf16 < f32 <
/// f64; u8 with i8 gives i32 and f16 with bf16 gives f32.
DType promote(DType a, DType b);

// Conversions between f32 and the 16-bit types, rounding to nearest even.
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);

/// The C++ type that holds an element: value_type<DType::i32> is int32_t. 16-bit floats are
/// uint16_t bits.
template <typename T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<int8_t> {
  static constexpr DType value = DType::i8;
};
template <>
struct dtype_of<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct dtype_of<bool> {
  static constexpr DType value = DType::boolean;
};

}  // namespace nacre
