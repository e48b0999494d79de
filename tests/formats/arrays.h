// Arrays in tests of files: their elements, and the values that the goldens hold.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "nacre/weights.h"

namespace nacre {

/// The tensor of this name; none is a failure of the test.
inline const RawTensor& tensor(const Weights& w, const std::string& name) {
  for (const auto& [n, t] : w.tensors)
    if (n == name) return t;
  ADD_FAILURE() << "no tensor " << name;
  static const RawTensor none;
  return none;
}

/// Element i as a number.
inline double element(const RawTensor& t, int64_t i) {
  const auto as = [&]<typename T>(T) {
    T v;
    std::memcpy(&v, static_cast<const char*>(t.data) + static_cast<size_t>(i) * sizeof(T),
                sizeof(T));
    return v;
  };
  switch (t.dtype) {
    case DType::f32:
      return as(float{});
    case DType::f64:
      return as(double{});
    case DType::bf16:
      return bf16_to_f32(as(uint16_t{}));
    case DType::f16:
      return f16_to_f32(as(uint16_t{}));
    case DType::i8:
      return as(int8_t{});
    case DType::u8:
    case DType::boolean:
      return as(uint8_t{});
    case DType::i32:
      return as(int32_t{});
    case DType::i64:
      return static_cast<double>(as(int64_t{}));
  }
  return NAN;
}

/// The values that the scripts put into the goldens.
inline void expect_golden(const RawTensor& t, DType dtype, const Shape& shape, int64_t step = 3,
                          int64_t first = -7) {
  ASSERT_EQ(t.dtype, dtype);
  ASSERT_EQ(t.shape, shape);
  for (int64_t i = 0; i < shape.numel(); ++i) {
    const int64_t expected = dtype == DType::boolean ? i % 3 == 0 : i * step + first;
    EXPECT_EQ(element(t, i), static_cast<double>(expected)) << i;
  }
}

inline RawTensor tensor_of(DType dtype, const Shape& shape, const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  EXPECT_EQ(bytes.size(), static_cast<size_t>(shape.numel()) * size_of(dtype));
  return {dtype, shape, owner->data(), owner};
}

inline void expect_equal(const RawTensor& a, const RawTensor& b) {
  EXPECT_EQ(a.dtype, b.dtype);
  EXPECT_EQ(a.shape, b.shape);
  ASSERT_EQ(a.bytes(), b.bytes());
  EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes()), 0);
}

}  // namespace nacre
