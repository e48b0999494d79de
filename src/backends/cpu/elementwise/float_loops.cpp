// Vector loops of the float instructions and of the 16-bit conversions, compiled once per target.
#include "backends/cpu/elementwise/loops.h"
#include "backends/cpu/simd/convert.h"
#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/elementwise/float_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>
#include "backends/cpu/simd/math_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {

// Loads and stores under a mask leave memory alone that the mask leaves out.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
constexpr bool kMasks = true;
#else
constexpr bool kMasks = false;
#endif

/// out[i] = f(a[i]). The last elements go through the same vector code, under a mask or in a padded
/// copy.
template <class T, class F>
HWY_INLINE void Map(const T* a, T* out, size_t n, F f) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i)), d, out + i);
  if (i == n) return;
  if constexpr (kMasks) {
    const auto rest = hn::FirstN(d, n - i);
    return hn::BlendedStore(f(d, hn::MaskedLoad(rest, d, a + i)), rest, d, out + i);
  }
  HWY_ALIGN T tail[hn::MaxLanes(hn::ScalableTag<T>())] = {};
  for (size_t j = i; j < n; ++j) tail[j - i] = a[j];
  hn::Store(f(d, hn::Load(d, tail)), d, tail);
  for (size_t j = i; j < n; ++j) out[j] = tail[j - i];
}

template <class T, class F>
HWY_INLINE void Map(const T* a, const T* b, T* out, size_t n, F f) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  if (i == n) return;
  if constexpr (kMasks) {
    const auto rest = hn::FirstN(d, n - i);
    return hn::BlendedStore(f(d, hn::MaskedLoad(rest, d, a + i), hn::MaskedLoad(rest, d, b + i)),
                            rest, d, out + i);
  }
  HWY_ALIGN T ta[hn::MaxLanes(hn::ScalableTag<T>())] = {},
              tb[hn::MaxLanes(hn::ScalableTag<T>())] = {};
  for (size_t j = i; j < n; ++j) ta[j - i] = a[j], tb[j - i] = b[j];
  hn::Store(f(d, hn::Load(d, ta), hn::Load(d, tb)), d, ta);
  for (size_t j = i; j < n; ++j) out[j] = ta[j - i];
}

// Instructions that both types have. Returns false for those that it does not know.
template <class T>
bool Common(Ew op, const T* a, const T* b, T* out, size_t n) {
#define UNARY(name, expression)                  \
  case Ew::name##_:                              \
    Map(a, out, n, [](auto d, auto x) HWY_ATTR { \
      (void)d;                                   \
      return expression;                         \
    });                                          \
    return true;
#define BINARY(name, expression)                            \
  case Ew::name##_:                                         \
    Map(a, b, out, n, [](auto d, auto x, auto y) HWY_ATTR { \
      (void)d;                                              \
      return expression;                                    \
    });                                                     \
    return true;
  switch (op) {
    UNARY(exp, Exp(d, x))
    UNARY(expm1, Expm1(d, x))
    UNARY(log, Log(d, x))
    UNARY(log1p, Log1p(d, x))
    UNARY(sqrt, hn::Sqrt(x))
    UNARY(rsqrt, hn::Div(hn::Set(d, T(1)), hn::Sqrt(x)))
    UNARY(tanh, Tanh(d, x))
    UNARY(sigmoid, Sigmoid(d, x))
    UNARY(softplus, NotANumber(d, x, hn::Add(hn::Max(x, hn::Zero(d)), Log1pExpNegAbs(d, x))))
    UNARY(log_sigmoid, NotANumber(d, x, hn::Sub(hn::Min(x, hn::Zero(d)), Log1pExpNegAbs(d, x))))
    UNARY(reciprocal, hn::Div(hn::Set(d, T(1)), x))
    UNARY(neg, hn::Neg(x))
    UNARY(abs, hn::Abs(x))
    UNARY(sign, NotANumber(d, x,
                           hn::Sub(hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, T(1))),
                                   hn::IfThenElseZero(hn::Lt(x, hn::Zero(d)), hn::Set(d, T(1))))))
    UNARY(square, hn::Mul(x, x))
    UNARY(relu, NotANumber(d, x, hn::Max(x, hn::Zero(d))))
    UNARY(floor, NotANumber(d, x, hn::Floor(x)))
    UNARY(ceil, NotANumber(d, x, hn::Ceil(x)))
    UNARY(round, NotANumber(d, x, hn::Round(x)))
    UNARY(trunc, NotANumber(d, x, hn::Trunc(x)))
    BINARY(add, hn::Add(x, y))
    BINARY(sub, hn::Sub(x, y))
    BINARY(mul, hn::Mul(x, y))
    BINARY(div, hn::Div(x, y))
    BINARY(maximum, NotANumber(d, x, NotANumber(d, y, hn::Max(x, y))))
    BINARY(minimum, NotANumber(d, x, NotANumber(d, y, hn::Min(x, y))))
    BINARY(copysign, hn::CopySign(x, y))
    default:
      return false;
  }
}

void FloatLoop32(Ew op, const float* a, const float* b, float* out, int64_t count, int64_t order) {
  const size_t n = static_cast<size_t>(count);
  if (Common(op, a, b, out, n)) return;
  switch (op) {
    case Ew::exp2_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR {
        return ViaDouble(d, x, [](auto dd, auto v) HWY_ATTR {
          return Exp(dd, hn::Mul(v, hn::Set(dd, 0.69314718055994531)));
        });
      });
    case Ew::log2_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR {
        return ViaDouble(d, x, [](auto dd, auto v) HWY_ATTR {
          return hn::Mul(Log(dd, v), hn::Set(dd, 1.4426950408889634));
        });
      });
    case Ew::log10_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR {
        return ViaDouble(d, x, [](auto dd, auto v) HWY_ATTR {
          return hn::Mul(Log(dd, v), hn::Set(dd, 0.43429448190325183));
        });
      });
    case Ew::sin_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR { return SinShifted(d, x, 0); });
    case Ew::cos_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR { return SinShifted(d, x, 1); });
    case Ew::erf_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR { return Erf(d, x); });
    case Ew::erfc_:
      return Map(a, out, n, [](auto d, auto x) HWY_ATTR { return Erfc(d, x); });
    case Ew::pow_:
      return Map(a, b, out, n, [](auto d, auto x, auto y) HWY_ATTR { return Pow(d, x, y); });
    default:
      return rare_loop(op, a, b, out, count, order);
  }
}

void FloatLoop64(Ew op, const double* a, const double* b, double* out, int64_t count,
                 int64_t order) {
  if (!Common(op, a, b, out, static_cast<size_t>(count))) rare_loop(op, a, b, out, count, order);
}

// Plain loops: the compiler vectorises them for the target at hand.
template <class T>
HWY_INLINE void TestLoop(Ew op, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                         uint8_t* HWY_RESTRICT out, int64_t n) {
#define LOOP(name, expression)                           \
  case Ew::name##_:                                      \
    for (int64_t i = 0; i < n; ++i) out[i] = expression; \
    return;
  constexpr T inf = std::numeric_limits<T>::infinity();
  switch (op) {
    LOOP(eq, a[i] == b[i])
    LOOP(ne, a[i] != b[i])
    LOOP(lt, a[i] < b[i])
    LOOP(le, a[i] <= b[i])
    LOOP(gt, a[i] > b[i])
    LOOP(ge, a[i] >= b[i])
    LOOP(isnan, a[i] != a[i])
    LOOP(isinf, (a[i] == inf) | (a[i] == -inf))
    LOOP(isfinite, (a[i] < inf) & (a[i] > -inf))
    LOOP(logical_not, a[i] == T(0))
    default:
      return;
  }
#undef LOOP
}

void TestLoop32(Ew op, const float* a, const float* b, uint8_t* out, int64_t n) {
  TestLoop(op, a, b, out, n);
}
void TestLoop64(Ew op, const double* a, const double* b, uint8_t* out, int64_t n) {
  TestLoop(op, a, b, out, n);
}

template <class DU, class VU>
HWY_INLINE VU Bf16Bits(DU du, VU u) {
  const hn::RebindToFloat<DU> df;
  const auto nan = hn::RebindMask(du, hn::IsNaN(hn::BitCast(df, u)));
  const VU tie = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1u));
  const VU rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(tie, hn::Set(du, 0x7fffu))));
  return hn::IfThenElse(nan, hn::Or(hn::ShiftRight<16>(u), hn::Set(du, 0x40u)), rounded);
}

template <class DU, class VU>
HWY_INLINE VU F16Bits(DU du, VU u) {
  const hn::RebindToFloat<DU> df;
  const VU a = hn::And(u, hn::Set(du, 0x7fffffffu));
  const auto fa = hn::BitCast(df, a);
  const VU tie = hn::And(hn::ShiftRight<13>(a), hn::Set(du, 1u));
  VU y = hn::ShiftRight<13>(
      hn::Sub(hn::Add(a, hn::Add(tie, hn::Set(du, 0xfffu))), hn::Set(du, 112u << 23)));
  // Below the normal range adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
  const auto half = hn::Set(df, 0.5f);
  const VU sub = hn::Sub(hn::BitCast(du, hn::Add(fa, half)), hn::BitCast(du, half));
  y = hn::IfThenElse(hn::RebindMask(du, hn::Lt(fa, hn::Set(df, 6.103515625e-05f))), sub, y);
  y = hn::IfThenElse(hn::RebindMask(du, hn::Ge(fa, hn::Set(df, 65520.f))), hn::Set(du, 0x7c00u), y);
  y = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(fa)), hn::Set(du, 0x7e00u), y);
  return hn::Or(y, hn::And(hn::ShiftRight<16>(u), hn::Set(du, 0x8000u)));
}

template <class DU, class VU>
HWY_INLINE hn::Vec<hn::RebindToFloat<DU>> F16Value(DU du, VU h) {
  const hn::RebindToFloat<DU> df;
  const VU em = hn::ShiftLeft<13>(hn::And(h, hn::Set(du, 0x7fffu)));
  VU y = hn::BitCast(du, hn::Mul(hn::BitCast(df, em), hn::Set(df, 0x1p112f)));
  const VU top = hn::Set(du, 0x7c00u << 13);
  y = hn::IfThenElse(hn::Eq(em, top), hn::Set(du, 0x7f800000u), y);
  const hn::RebindToSigned<DU> di;  // em is never negative
  const auto nan = hn::RebindMask(du, hn::Gt(hn::BitCast(di, em), hn::BitCast(di, top)));
  y = hn::IfThenElse(nan, hn::Set(du, 0x7fc00000u), y);
  return hn::BitCast(df, hn::Or(y, hn::ShiftLeft<16>(hn::And(h, hn::Set(du, 0x8000u)))));
}

template <class F>
HWY_INLINE void Widen(const uint16_t* in, float* out, size_t n, F f) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(f(du, hn::PromoteTo(du, hn::LoadU(d16, in + i))), d, out + i);
  if (i == n) return;
  HWY_ALIGN uint16_t tail[hn::MaxLanes(hn::ScalableTag<float>())] = {};
  HWY_ALIGN float result[hn::MaxLanes(hn::ScalableTag<float>())];
  for (size_t j = i; j < n; ++j) tail[j - i] = in[j];
  hn::Store(f(du, hn::PromoteTo(du, hn::Load(d16, tail))), d, result);
  for (size_t j = i; j < n; ++j) out[j] = result[j - i];
}

template <class F>
HWY_INLINE void Narrow(const float* in, uint16_t* out, size_t n, F f) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d);
  const auto convert = [&](auto v) HWY_ATTR {
    return hn::DemoteTo(d16, hn::BitCast(di, f(du, hn::BitCast(du, v))));
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(convert(hn::LoadU(d, in + i)), d16, out + i);
  if (i == n) return;
  HWY_ALIGN float tail[hn::MaxLanes(hn::ScalableTag<float>())] = {};
  HWY_ALIGN uint16_t result[hn::MaxLanes(hn::ScalableTag<float>())];
  for (size_t j = i; j < n; ++j) tail[j - i] = in[j];
  hn::Store(convert(hn::Load(d, tail)), d16, result);
  for (size_t j = i; j < n; ++j) out[j] = result[j - i];
}

void Widen16(DType type, const uint16_t* in, float* out, int64_t count) {
  const size_t n = static_cast<size_t>(count);
  if (type == DType::f16)
    return Widen(in, out, n, [](auto du, auto u) HWY_ATTR { return F16Value(du, u); });
  Widen(in, out, n, [](auto du, auto u) HWY_ATTR {
    return hn::BitCast(hn::RebindToFloat<decltype(du)>(), hn::ShiftLeft<16>(u));
  });
}

void Narrow16(DType type, const float* in, uint16_t* out, int64_t count) {
  const size_t n = static_cast<size_t>(count);
  if (type == DType::f16)
    return Narrow(in, out, n, [](auto du, auto u) HWY_ATTR { return F16Bits(du, u); });
  Narrow(in, out, n, [](auto du, auto u) HWY_ATTR { return Bf16Bits(du, u); });
}

void Round16(DType type, float* values, int64_t count) {
  const size_t n = static_cast<size_t>(count);
  if (type == DType::f16)
    return Map(values, values, n, [](auto d, auto v) HWY_ATTR {
      const hn::RebindToUnsigned<decltype(d)> du;
      return F16Value(du, F16Bits(du, hn::BitCast(du, v)));
    });
  Map(values, values, n, [](auto d, auto v) HWY_ATTR {
    const hn::RebindToUnsigned<decltype(d)> du;
    return hn::BitCast(d, hn::ShiftLeft<16>(Bf16Bits(du, hn::BitCast(du, v))));
  });
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(FloatLoop32);
HWY_EXPORT(FloatLoop64);
HWY_EXPORT(TestLoop32);
HWY_EXPORT(TestLoop64);
HWY_EXPORT(Widen16);
HWY_EXPORT(Narrow16);
HWY_EXPORT(Round16);

void float_loop(Ew op, const float* a, const float* b, float* out, int64_t n, int64_t order) {
  HWY_DYNAMIC_DISPATCH(FloatLoop32)(op, a, b, out, n, order);
}
void float_loop(Ew op, const double* a, const double* b, double* out, int64_t n, int64_t order) {
  HWY_DYNAMIC_DISPATCH(FloatLoop64)(op, a, b, out, n, order);
}
void float_test_loop(Ew op, const float* a, const float* b, uint8_t* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(TestLoop32)(op, a, b, out, n);
}
void float_test_loop(Ew op, const double* a, const double* b, uint8_t* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(TestLoop64)(op, a, b, out, n);
}
void widen16(DType type, const uint16_t* in, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Widen16)(type, in, out, n);
}
void narrow16(DType type, const float* in, uint16_t* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Narrow16)(type, in, out, n);
}
void round16(DType type, float* values, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Round16)(type, values, n);
}

}  // namespace nacre::cpu
#endif
