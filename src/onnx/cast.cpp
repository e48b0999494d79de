#include "onnx/cast.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "onnx/call.h"
#include "onnx/tensor_data.h"

namespace nacre::onnx {
namespace {

bool is_small_float(Elem e) {
  return (e >= Elem::f8e4m3fn && e <= Elem::f8e5m2fnuz) || e == Elem::f4e2m1 || e == Elem::f8e8m0 ||
         e == Elem::f6e2m3 || e == Elem::f6e3m2;
}

/// A number as NumPy prints a float32 or float64: shortest, "1.0" for whole ones.
template <typename T>
std::string text_of(T v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v < 0 ? "-INF" : "INF";
  char buffer[64];
  const double size = std::abs(static_cast<double>(v));
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string s(buffer, end.ptr);
  // NumPy's own form of whole numbers ends with a point and zero in arrays of strings.
  if (plain && s.find('.') == std::string::npos) s += ".0";
  return s;
}

Value to_text(const Value& v) {
  std::vector<std::string> text;
  const Tensor& t = v.tensor();
  if (t.dtype() == DType::f64) {
    for (double x : t.to_vector<double>()) text.push_back(text_of(x));
  } else if (is_float(t.dtype())) {
    for (float x : t.to_vector<float>()) text.push_back(text_of(x));
  } else {
    for (int64_t x : t.to_vector<int64_t>())
      text.push_back(v.elem() == Elem::u64       ? std::to_string(static_cast<uint64_t>(x))
                     : v.elem() == Elem::boolean ? (x ? "1" : "0")
                                                 : std::to_string(x));
  }
  return Value::strings(t.shape(), std::move(text));
}

double number_of(const std::string& s) {
  const char* at = s.c_str();
  while (*at == ' ' || *at == '+') ++at;
  const std::string lower = [&] {
    std::string l(at);
    for (char& c : l) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return l;
  }();
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower == "inf" || lower == "infinity") return INFINITY;
  if (lower == "-inf" || lower == "-infinity") return -INFINITY;
  double v = 0;
  const auto end = std::from_chars(at, s.c_str() + s.size(), v);
  if (end.ec != std::errc() || end.ptr != s.c_str() + s.size())
    fail(Error::Kind::data, {"the text '", s.substr(0, 60), "' is no number"});
  return v;
}

Value from_text(const Value& v, Elem to) {
  std::vector<double> numbers;
  for (const std::string& s : v.text()) numbers.push_back(number_of(s));
  return cast_value(Tensor::from(numbers, v.shape()), to);
}

}  // namespace

Elem elem_named(std::string_view name) {
  std::string lower;
  for (char c : name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (int e = 1; e <= static_cast<int>(Elem::f6e3m2); ++e)
    if (name_of(static_cast<Elem>(e)) == lower) return static_cast<Elem>(e);
  fail(Error::Kind::data, {"'", name, "' is no element type"});
}

Value cast_value(const Value& v, Elem to, bool saturate, std::string_view round_mode) {
  if (to == Elem::string) return v.is_strings() ? v : to_text(v);
  if (v.is_strings()) return from_text(v, to);
  const DType dtype = storage_of(to);
  if (v.elem() == to) return v;
  if (is_small_float(to)) {
    std::vector<float> x = v.tensor().to_vector<float>();
    for (float& f : x) f = round_to(to, f, saturate, round_mode);
    return {Tensor::from(x, v.shape()), to};
  }
  Tensor t = v.tensor();
  if (v.elem() == Elem::u64 && is_float(dtype)) {  // bits beyond 2^63 are negative here
    const Tensor wide = cast(t, DType::f64);
    t = where(t < 0, wide + 0x1p64, wide);
  }
  // Low bits count, of negative numbers too.
  if (to == Elem::u4 || to == Elem::i4 || to == Elem::u2 || to == Elem::i2)
    return {cast(low_bits(cast(t, DType::i32), to), dtype), to};
  return as_elem(cast(t, dtype), to);
}

}  // namespace nacre::onnx
