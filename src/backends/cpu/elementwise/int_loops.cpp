// Instructions of integers and truth values, selection and casts. Plain loops: the compiler
// vectorises them.
#include <cmath>
#include <limits>
#include <type_traits>

#include "backends/cpu/elementwise/loops.h"

namespace nacre::cpu {
namespace {

// Wrapping arithmetic, without undefined overflow.
template <class T>
using Unsigned = std::conditional_t<sizeof(T) < 4, uint32_t, std::make_unsigned_t<T>>;

template <class T>
T floor_div(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return static_cast<T>(Unsigned<T>(0) - static_cast<Unsigned<T>>(a));
  const T q = static_cast<T>(a / b);
  return static_cast<T>(q - ((a % b != 0) && ((a < 0) != (b < 0))));
}

template <class T>
T fmod_int(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return 0;
  return static_cast<T>(a % b);
}

template <class T>
T remainder_int(T a, T b) {
  const T r = fmod_int(a, b);
  return r != 0 && ((r < 0) != (b < 0)) ? static_cast<T>(r + b) : r;
}

template <class T>
T power(T a, T b) {
  if constexpr (std::is_signed_v<T>) {
    if (b < 0) return a == 1 ? T(1) : a == -1 ? (b & 1 ? T(-1) : T(1)) : T(0);
  }
  Unsigned<T> result = 1, base = static_cast<Unsigned<T>>(a);
  for (auto e = static_cast<std::make_unsigned_t<T>>(b); e; e = static_cast<decltype(e)>(e >> 1)) {
    if (e & 1) result *= base;
    base *= base;
  }
  return static_cast<T>(result);
}

template <class T>
T shift_left(T a, T b) {
  constexpr int bits = 8 * sizeof(T);
  if (b < 0 || static_cast<uint64_t>(b) >= bits) return 0;
  return static_cast<T>(static_cast<Unsigned<T>>(a) << b);
}

template <class T>
T shift_right(T a, T b) {
  constexpr int bits = 8 * sizeof(T);
  const int by = b < 0 || static_cast<uint64_t>(b) >= bits ? bits - 1 : static_cast<int>(b);
  if (!std::is_signed_v<T> && (b < 0 || static_cast<uint64_t>(b) >= bits)) return 0;
  return static_cast<T>(a >> by);
}

// GCC ivdep: an output that is the array of an input has no dependence between iterations.
#define LOOP(name, expression)                             \
  case Ew::name##_:                                        \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) { \
      const T x = a[i];                                    \
      out[i] = static_cast<T>(expression);                 \
    }                                                      \
    return;
#define LOOP2(name, expression)                            \
  case Ew::name##_:                                        \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) { \
      const T x = a[i], y = b[i];                          \
      out[i] = static_cast<T>(expression);                 \
    }                                                      \
    return;
#define TEST2(name, expression)                                                           \
  case Ew::name##_:                                                                       \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) truth[i] = a[i] expression b[i]; \
    return;

template <class T>
void typed_loop(Ew op, const T* a, const T* b, void* result, int64_t n) {
  using U = Unsigned<T>;
  T* out = static_cast<T*>(result);
  uint8_t* truth = static_cast<uint8_t*>(result);
  switch (op) {
    LOOP(neg, U(0) - U(x))
    LOOP(abs, x < 0 ? U(0) - U(x) : U(x))
    LOOP(sign, (x > 0) - (x < 0))
    LOOP(square, U(x) * U(x))
    LOOP(relu, x > 0 ? x : 0)
    LOOP(floor, x)
    LOOP(ceil, x)
    LOOP(round, x)
    LOOP(trunc, x)
    LOOP(bitwise_not, ~x)
    LOOP2(add, U(x) + U(y))
    LOOP2(sub, U(x) - U(y))
    LOOP2(mul, U(x) * U(y))
    LOOP2(floor_div, floor_div(x, y))
    LOOP2(remainder, remainder_int(x, y))
    LOOP2(fmod, fmod_int(x, y))
    LOOP2(pow, power(x, y))
    LOOP2(maximum, x > y ? x : y)
    LOOP2(minimum, x < y ? x : y)
    LOOP2(bitwise_and, x & y)
    LOOP2(bitwise_or, x | y)
    LOOP2(bitwise_xor, x ^ y)
    LOOP2(shift_left, shift_left(x, y))
    LOOP2(shift_right, shift_right(x, y))
    TEST2(eq, ==)
    TEST2(ne, !=)
    TEST2(lt, <)
    TEST2(le, <=)
    TEST2(gt, >)
    TEST2(ge, >=)
    case Ew::logical_not_:
      for (int64_t i = 0; i < n; ++i) truth[i] = a[i] == 0;
      return;
    default:
      return;
  }
}

// Truth values: sums are "or", products are "and".
void truth_loop(Ew op, const uint8_t* a, const uint8_t* b, uint8_t* out, int64_t n) {
  using T = uint8_t;
  uint8_t* truth = out;
  switch (op) {
    LOOP(bitwise_not, x ^ 1)
    LOOP(logical_not, x ^ 1)
    LOOP2(add, x | y)
    LOOP2(maximum, x | y)
    LOOP2(bitwise_or, x | y)
    LOOP2(logical_or, x | y)
    LOOP2(mul, x & y)
    LOOP2(minimum, x & y)
    LOOP2(bitwise_and, x & y)
    LOOP2(logical_and, x & y)
    LOOP2(bitwise_xor, x ^ y)
    LOOP2(logical_xor, x ^ y)
    TEST2(eq, ==)
    TEST2(ne, !=)
    TEST2(lt, <)
    TEST2(le, <=)
    TEST2(gt, >)
    TEST2(ge, >=)
    default:
      return;
  }
}

template <class T>
void select(const uint8_t* condition, const void* a, const void* b, void* result, int64_t n) {
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  T* out = static_cast<T*>(result);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const T u = x[i], v = y[i];
    out[i] = condition[i] ? u : v;
  }
}

/// Truncates toward zero; too large values saturate and NaN gives 0.
template <class To, class From>
To convert(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The limits as floats; the upper one is exclusive, since max() itself may round up.
    constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From high = -2 *
                          static_cast<From>(std::numeric_limits<std::make_signed_t<To>>::min()) /
                          (std::is_signed_v<To> ? 2 : 1);
    if (!(x > low)) return x != x ? To(0) : std::numeric_limits<To>::min();
    if (x >= high) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class From, class To>
void cast_typed(const void* in, void* out, int64_t n) {
  const From* x = static_cast<const From*>(in);
  To* y = static_cast<To*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = convert<To>(x[i]);
}

template <class From>
void cast_from(DType to, const void* in, void* out, int64_t n) {
  switch (to) {
    case DType::f32:
    case DType::bf16:
    case DType::f16:
      return cast_typed<From, float>(in, out, n);
    case DType::f64:
      return cast_typed<From, double>(in, out, n);
    case DType::i8:
      return cast_typed<From, int8_t>(in, out, n);
    case DType::u8:
      return cast_typed<From, uint8_t>(in, out, n);
    case DType::i32:
      return cast_typed<From, int32_t>(in, out, n);
    case DType::i64:
      return cast_typed<From, int64_t>(in, out, n);
    case DType::boolean: {
      const From* x = static_cast<const From*>(in);
      uint8_t* y = static_cast<uint8_t*>(out);
      for (int64_t i = 0; i < n; ++i) y[i] = x[i] != From(0);
      return;
    }
  }
}

}  // namespace

void int_loop(Ew op, DType type, const void* a, const void* b, void* out, int64_t n) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    typed_loop<T>(op, static_cast<const T*>(a), static_cast<const T*>(b), out, n);
  };
  switch (type) {
    case DType::i8:
      return run(int8_t{});
    case DType::u8:
      return run(uint8_t{});
    case DType::i32:
      return run(int32_t{});
    case DType::i64:
      return run(int64_t{});
    default:
      return truth_loop(op, static_cast<const uint8_t*>(a), static_cast<const uint8_t*>(b),
                        static_cast<uint8_t*>(out), n);
  }
}

void where_loop(size_t size, const uint8_t* condition, const void* a, const void* b, void* out,
                int64_t n) {
  switch (size) {
    case 1:
      return select<uint8_t>(condition, a, b, out, n);
    case 4:
      return select<uint32_t>(condition, a, b, out, n);
    default:
      return select<uint64_t>(condition, a, b, out, n);
  }
}

void cast_loop(DType from, DType to, const void* in, void* out, int64_t n) {
  switch (from) {
    case DType::f32:
    case DType::bf16:
    case DType::f16:
      return cast_from<float>(to, in, out, n);
    case DType::f64:
      return cast_from<double>(to, in, out, n);
    case DType::i8:
      return cast_from<int8_t>(to, in, out, n);
    case DType::i32:
      return cast_from<int32_t>(to, in, out, n);
    case DType::i64:
      return cast_from<int64_t>(to, in, out, n);
    case DType::u8:
    case DType::boolean:
      return cast_from<uint8_t>(to, in, out, n);
  }
}

}  // namespace nacre::cpu
