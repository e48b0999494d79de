#include "formats/elements.h"

#include <algorithm>
#include <cstring>

#include "nacre/error.h"

namespace nacre {
namespace {

template <typename From, typename To>
void widen_integer(const char* from, char* to) {
  From v;
  std::memcpy(&v, from, sizeof(v));
  if constexpr (std::is_same_v<From, uint64_t>)
    if (v > static_cast<uint64_t>(INT64_MAX))
      fail(Error::Kind::unsupported, {"it holds the uint64 value ", v, ", beyond int64"});
  const To wide = static_cast<To>(v);
  std::memcpy(to, &wide, sizeof(wide));
}

/// The upper byte of an f16.
void widen_e5m2(const char* from, char* to) {
  to[0] = 0;
  to[1] = *from;
}

/// Four bits of exponent (bias 7), three of mantissa, no infinity, NaN with all bits set
/// (Micikevicius et al. 2022).
void widen_e4m3(const char* from, char* to) {
  const auto bits = static_cast<uint8_t>(*from);
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const float size =
      exponent ? static_cast<float>(8 + mantissa) * 0.125f : static_cast<float>(mantissa) * 0.125f;
  float v = size;
  for (int e = exponent ? exponent : 1; e > 7; --e) v *= 2;
  for (int e = exponent ? exponent : 1; e < 7; ++e) v /= 2;
  uint16_t half = (bits & 127) == 127 ? 0x7e00 : f32_to_f16(v);
  if (bits & 128) half |= 0x8000;
  std::memcpy(to, &half, 2);
}

constexpr ElementType kTypes[] = {
    {"f32", 4, DType::f32, nullptr},
    {"f64", 8, DType::f64, nullptr},
    {"bf16", 2, DType::bf16, nullptr},
    {"f16", 2, DType::f16, nullptr},
    {"i8", 1, DType::i8, nullptr},
    {"u8", 1, DType::u8, nullptr},
    {"i16", 2, DType::i32, widen_integer<int16_t, int32_t>},
    {"u16", 2, DType::i32, widen_integer<uint16_t, int32_t>},
    {"i32", 4, DType::i32, nullptr},
    {"u32", 4, DType::i64, widen_integer<uint32_t, int64_t>},
    {"i64", 8, DType::i64, nullptr},
    {"u64", 8, DType::i64, widen_integer<uint64_t, int64_t>},
    {"bool", 1, DType::boolean, nullptr},
    {"f8_e4m3", 1, DType::f16, widen_e4m3},
    {"f8_e5m2", 1, DType::f16, widen_e5m2},
};

}  // namespace

const ElementType& element_type(Element element) { return kTypes[static_cast<size_t>(element)]; }

void gather_elements(const char* from, char* to, const Shape& shape, const Shape& strides,
                     const ElementType& type, bool swapped) {
  const int64_t n = shape.numel();
  const size_t out_size = size_of(type.dtype);
  Shape index(shape.size(), 0);
  int64_t place = 0;
  for (int64_t i = 0; i < n; ++i) {
    char element[8];
    const char* source = from + static_cast<size_t>(place) * type.size;
    if (swapped)
      std::reverse_copy(source, source + type.size, element);
    else
      std::memcpy(element, source, type.size);
    type.widen ? type.widen(element, to) : static_cast<void>(std::memcpy(to, element, type.size));
    to += out_size;
    for (int64_t d = shape.rank() - 1; d >= 0; --d) {
      place += strides[d];
      if (++index[d] < shape[d]) break;
      place -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

}  // namespace nacre
