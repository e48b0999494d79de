// Shape, dtype and error: the value types that everything else is made of.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

#include "nacre/error.h"

namespace nacre {

void Shape::grow(size_t n) {
  const size_t capacity = std::max<size_t>(n, 2 * size_t{capacity_});
  auto* bigger = new int64_t[capacity]();
  std::memcpy(bigger, begin(), size_ * sizeof(int64_t));
  release();
  heap_ = bigger;
  capacity_ = static_cast<uint32_t>(capacity);
}

void Shape::copy_long(const Shape& o) { assign(o.begin(), o.size_); }

void Shape::insert(int64_t pos, int64_t v) {
  if (pos < 0 || pos > static_cast<int64_t>(size_)) bad_index(pos);
  push_back(v);
  std::rotate(begin() + pos, end() - 1, end());
}

void Shape::erase(int64_t pos) {
  if (pos < 0 || pos >= static_cast<int64_t>(size_)) bad_index(pos);
  std::copy(begin() + pos + 1, end(), begin() + pos);
  --size_;
}

Shape Shape::slice(int64_t from, int64_t to) const {
  if (from >= to) return Shape();
  if (from < 0) bad_index(from);
  if (to > static_cast<int64_t>(size_)) bad_index(to - 1);
  return Shape(begin() + from, static_cast<size_t>(to - from));
}

void Shape::bad_index(int64_t i) const {
  fail(Error::Kind::shape, {"index ", i, " is out of range for a list of ", size_, " entries"});
}

std::string Shape::str() const {
  if (empty()) return "scalar";
  std::string s;
  for (size_t i = 0; i < size_; ++i) s += (i ? "x" : "") + std::to_string(begin()[i]);
  return s;
}

std::string Shape::list() const {
  std::string s = "[";
  for (size_t i = 0; i < size_; ++i) s += (i ? ", " : "") + std::to_string(begin()[i]);
  return s + "]";
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (int64_t i = shape.rank() - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * std::max<int64_t>(1, shape[i + 1]);
  return strides;
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  const int64_t rank = std::max(a.rank(), b.rank());
  Shape out(static_cast<size_t>(rank), 1);
  for (int64_t i = 1; i <= rank; ++i) {
    const int64_t x = i <= a.rank() ? a[-i] : 1, y = i <= b.rank() ? b[-i] : 1;
    if (x != y && x != 1 && y != 1)
      fail(Error::Kind::shape, {"shapes ", a, " and ", b, " do not broadcast: dimension -", i,
                                " is ", x, " in one and ", y, " in the other"});
    out[-i] = x == 1 ? y : x;
  }
  return out;
}

int64_t normalize_dim(int64_t dim, int64_t rank) {
  if (dim < -rank || dim >= rank)
    fail(Error::Kind::shape, {"dimension ", dim, " is out of range for rank ", rank});
  return dim < 0 ? dim + rank : dim;
}

Ints normalize_dims(const Ints& dims, int64_t rank) {
  Ints out;
  if (dims.empty()) {
    for (int64_t i = 0; i < rank; ++i) out.push_back(i);
    return out;
  }
  for (int64_t d : dims) out.push_back(normalize_dim(d, rank));
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end())
    fail(Error::Kind::shape, {"dimensions ", dims.list(), " name one dimension twice"});
  return out;
}

namespace {
constexpr std::string_view kNames[] = {"f32", "f64", "bf16", "f16", "i8",
                                       "u8",  "i32", "i64",  "bool"};
}

std::string_view name_of(DType t) { return kNames[static_cast<int>(t)]; }

DType dtype_from_name(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (kNames[i] == name) return static_cast<DType>(i);
  fail(Error::Kind::usage, {"unknown element type '", name,
                            "'; known are f32, f64, bf16, f16, i8, u8, i32, i64, bool"});
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  const auto pair = [&](DType x, DType y) { return (a == x && b == y) || (a == y && b == x); };
  if (pair(DType::f16, DType::bf16)) return DType::f32;
  if (pair(DType::i8, DType::u8)) return DType::i32;
  constexpr int order[] = {7, 8, 6, 5, 2, 1, 3, 4, 0};  // f32 f64 bf16 f16 i8 u8 i32 i64 bool
  return order[static_cast<int>(a)] > order[static_cast<int>(b)] ? a : b;
}

float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t f32_to_bf16(float value) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((u >> 16) | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

float f16_to_f32(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  float v;
  if (exponent == 31)
    v = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    v = std::ldexp(static_cast<float>(mantissa), -24);
  else
    v = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return bits & 0x8000 ? -v : v;
}

uint16_t f32_to_f16(float value) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000);
  if (std::isnan(value)) return sign | 0x7e00;
  const float mag = std::fabs(value);
  if (mag >= 65520.f) return sign | 0x7c00;
  if (mag < 6.103515625e-05f)  // subnormal: a multiple of 2^-24, nearbyint rounds to even
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(mag, 24))));
  const uint32_t m = std::bit_cast<uint32_t>(mag);
  const uint32_t rounded = m + 0xfff + ((m >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

std::string Piece::text() const {
  switch (kind_) {
    case Kind::text:
      return std::string(text_);
    case Kind::shape:
      return shape_->str();
    case Kind::list:
      return shape_->list();
    case Kind::real: {
      char buffer[32];
      std::snprintf(buffer, sizeof(buffer), "%.6g", real_);
      return buffer;
    }
    case Kind::integer:
      return std::to_string(integer_);
    case Kind::natural:
      return std::to_string(natural_);
  }
  return {};
}

std::string cat(std::initializer_list<Piece> pieces) {
  std::string s;
  for (const auto& p : pieces) s += p.text();
  return s;
}

void fail(Error::Kind kind, std::initializer_list<Piece> pieces) { throw Error(kind, cat(pieces)); }

}  // namespace nacre
