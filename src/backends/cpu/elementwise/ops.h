// The instructions of elementwise programs, one per elementwise op of the graph.
#pragma once

#include <cstdint>

namespace nacre::cpu {

// clang-format off
#define NACRE_ELEMENTWISE_UNARY_FLOAT(X) \
  X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sqrt) X(rsqrt) X(cbrt) X(sin) X(cos) \
  X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) X(erf) X(erfc) \
  X(erfinv) X(lgamma) X(digamma) X(polygamma) X(sigmoid) X(softplus) X(log_sigmoid) X(reciprocal)
#define NACRE_ELEMENTWISE_UNARY(X) \
  X(neg) X(abs) X(sign) X(square) X(relu) X(floor) X(ceil) X(round) X(trunc)
#define NACRE_ELEMENTWISE_BINARY_FLOAT(X) X(div) X(atan2) X(hypot) X(copysign)
#define NACRE_ELEMENTWISE_BINARY(X) \
  X(add) X(sub) X(mul) X(floor_div) X(remainder) X(fmod) X(pow) X(maximum) X(minimum)
#define NACRE_ELEMENTWISE_COMPARE(X) X(eq) X(ne) X(lt) X(le) X(gt) X(ge)
#define NACRE_ELEMENTWISE_TEST(X) X(isnan) X(isinf) X(isfinite)
#define NACRE_ELEMENTWISE_LOGICAL(X) X(logical_and) X(logical_or) X(logical_xor)
#define NACRE_ELEMENTWISE_BITWISE(X) \
  X(bitwise_and) X(bitwise_or) X(bitwise_xor) X(shift_left) X(shift_right)
#define NACRE_ELEMENTWISE_ALL(X) \
  NACRE_ELEMENTWISE_UNARY_FLOAT(X) NACRE_ELEMENTWISE_UNARY(X) NACRE_ELEMENTWISE_BINARY_FLOAT(X) \
  NACRE_ELEMENTWISE_BINARY(X) NACRE_ELEMENTWISE_COMPARE(X) NACRE_ELEMENTWISE_TEST(X) \
  NACRE_ELEMENTWISE_LOGICAL(X) NACRE_ELEMENTWISE_BITWISE(X) \
  X(bitwise_not) X(logical_not) X(where) X(cast)
// clang-format on

/// An instruction; the trailing underscore keeps C names free (Ew::exp_).
enum class Ew : uint8_t {
#define X(name) name##_,
  NACRE_ELEMENTWISE_ALL(X)
#undef X
};

}  // namespace nacre::cpu
