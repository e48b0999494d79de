// Helpers of the tests of CPU kernels: typed arrays as doubles, and running a kernel on them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "graph/kernel.h"

namespace nacre::test {

inline constexpr DType kFloats[] = {DType::f32, DType::f64, DType::bf16, DType::f16};

/// A value rounded to a type and read back.
inline double rounded(double v, DType t) {
  switch (t) {
    case DType::f32:
      return static_cast<float>(v);
    case DType::bf16:
      return bf16_to_f32(f32_to_bf16(static_cast<float>(v)));
    case DType::f16:
      return f16_to_f32(f32_to_f16(static_cast<float>(v)));
    default:
      return v;
  }
}

/// Memory of one operand.
struct Array {
  DType dtype;
  Shape shape;
  std::vector<char> bytes;

  Array(DType t, Shape s)
      : dtype(t), shape(s), bytes(static_cast<size_t>(s.numel()) * size_of(t)) {}
  Array(DType t, Shape s, const std::vector<double>& v) : Array(t, s) {
    for (size_t i = 0; i < v.size(); ++i) set(static_cast<int64_t>(i), v[i]);
  }
  int64_t numel() const { return shape.numel(); }
  template <class T>
  T& as(int64_t i) {
    return reinterpret_cast<T*>(bytes.data())[i];
  }
  template <class T>
  T as(int64_t i) const {
    return reinterpret_cast<const T*>(bytes.data())[i];
  }
  double at(int64_t i) const {
    switch (dtype) {
      case DType::f32:
        return as<float>(i);
      case DType::f64:
        return as<double>(i);
      case DType::bf16:
        return bf16_to_f32(as<uint16_t>(i));
      case DType::f16:
        return f16_to_f32(as<uint16_t>(i));
      case DType::i8:
        return as<int8_t>(i);
      case DType::i32:
        return as<int32_t>(i);
      case DType::i64:
        return static_cast<double>(as<int64_t>(i));
      default:
        return as<uint8_t>(i);
    }
  }
  void set(int64_t i, double v) {
    switch (dtype) {
      case DType::f32:
        as<float>(i) = static_cast<float>(v);
        break;
      case DType::f64:
        as<double>(i) = v;
        break;
      case DType::bf16:
        as<uint16_t>(i) = f32_to_bf16(static_cast<float>(v));
        break;
      case DType::f16:
        as<uint16_t>(i) = f32_to_f16(static_cast<float>(v));
        break;
      case DType::i8:
        as<int8_t>(i) = static_cast<int8_t>(v);
        break;
      case DType::i32:
        as<int32_t>(i) = static_cast<int32_t>(v);
        break;
      case DType::i64:
        as<int64_t>(i) = static_cast<int64_t>(v);
        break;
      case DType::u8:
        as<uint8_t>(i) = static_cast<uint8_t>(v);
        break;
      case DType::boolean:
        as<uint8_t>(i) = v != 0;
        break;
    }
  }
  Operand operand() const { return {dtype, shape, contiguous_strides(shape)}; }
};

using Values = std::vector<double>;

inline Values values(const Array& a) {
  Values v;
  for (int64_t i = 0; i < a.numel(); ++i) v.push_back(a.at(i));
  return v;
}

inline Array random_array(DType t, Shape shape, unsigned seed, double low = -3, double high = 3) {
  Array a(t, shape);
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> dist(low, high);
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double v = dist(rng);
    a.set(i, is_float(t) ? v : std::round(v));
  }
  return a;
}

/// Runs with scratch that is exactly as large as asked for.
inline void run(const Kernel& kernel, std::vector<const void*> in, std::vector<void*> out) {
  const size_t bytes = kernel.scratch_bytes();
  std::unique_ptr<void, decltype(&std::free)> scratch(
      bytes ? std::aligned_alloc(64, (bytes + 63) / 64 * 64) : nullptr, &std::free);
  kernel.run(in.data(), out.data(), scratch.get());
}

/// Distance in units in the last place of f32, from a double result to the exact value.
inline double ulp_error(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e30;
  const float nearest = static_cast<float>(want);
  if (std::isinf(nearest) || std::isinf(got))
    return got == nearest ? 0
           : std::isfinite(want) && std::isinf(nearest) &&
                   got == std::copysign(3.4028234664e38f, nearest)
               ? 1
               : 1e30;
  int exponent;
  std::frexp(std::max(std::fabs(want), 0x1p-126), &exponent);
  return std::fabs(got - want) / std::ldexp(1.0, exponent - 24);
}

}  // namespace nacre::test
