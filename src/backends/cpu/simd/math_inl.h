// Vector functions of f32 and f64 lanes; docs/math-accuracy.md states their errors.
//
// Included once per target by the multi-target .cpp files, hence the guard that toggles.
#if defined(NACRE_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NACRE_CPU_MATH_INL_H_
#undef NACRE_CPU_MATH_INL_H_
#else
#define NACRE_CPU_MATH_INL_H_
#endif

#include <cmath>
#include <limits>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// c[0] + c[1] x + ... by Horner's rule.
template <class D, class V, size_t n>
HWY_INLINE V Poly(D d, V x, const hn::TFromD<D> (&c)[n]) {
  V r = hn::Set(d, c[n - 1]);
  for (size_t i = n - 1; i-- > 0;) r = hn::MulAdd(r, x, hn::Set(d, c[i]));
  return r;
}

template <class T>
struct MathTraits;

template <>
struct MathTraits<float> {
  static constexpr int kMantissa = 23, kBias = 127;
  // ln2 in two parts; the first has so few bits that its product with an exponent is exact.
  static constexpr float kLn2Hi = 0.693359375f, kLn2Lo = -2.12194440e-4f;
  static constexpr float kExpLow = -104.f, kExpHigh = 89.f, kExpm1Low = -18.f, kTanhHigh = 10.f;
  static constexpr float kTiny = 2.9802322e-08f;  // 2^-25: expm1(x) rounds to x
  static constexpr float kScaleSubnormal = 33554432.f, kScaleBits = 25.f;
  static constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  static constexpr float kExp[] = {1 / 2.f, 1 / 6.f, 1 / 24.f, 1 / 120.f, 1 / 720.f, 1 / 5040.f};
  static constexpr float kLog[] = {2 / 3.f, 2 / 5.f, 2 / 7.f, 2 / 9.f};
};

template <>
struct MathTraits<double> {
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kLn2Hi = 0x1.62e42fee00000p-1, kLn2Lo = 0x1.a39ef35793c76p-33;
  static constexpr double kExpLow = -746, kExpHigh = 710, kExpm1Low = -40, kTanhHigh = 22;
  static constexpr double kTiny = 0x1p-54;
  static constexpr double kScaleSubnormal = 0x1p54, kScaleBits = 54;
  static constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  static constexpr double kExp[] = {1 / 2.,       1 / 6.,        1 / 24.,        1 / 120.,
                                    1 / 720.,     1 / 5040.,     1 / 40320.,     1 / 362880.,
                                    1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800.};
  static constexpr double kLog[] = {2 / 3.,  2 / 5.,  2 / 7.,  2 / 9.,  2 / 11., 2 / 13.,
                                    2 / 15., 2 / 17., 2 / 19., 2 / 21., 2 / 23.};
};

/// 2^n for a vector of integers n in the range of normal numbers.
template <class D, class VI>
HWY_INLINE hn::Vec<D> Pow2(D d, VI n) {
  using M = MathTraits<hn::TFromD<D>>;
  const hn::RebindToSigned<D> di;
  return hn::BitCast(
      d, hn::ShiftLeft<M::kMantissa>(hn::Add(n, hn::Set(di, hn::TFromD<decltype(di)>{M::kBias}))));
}

template <class D, class V>
HWY_INLINE V NotANumber(D d, V x, V otherwise) {
  (void)d;
  return hn::IfThenElse(hn::IsNaN(x), x, otherwise);
}

/// x = n ln2 + r with |r| <= ln2 / 2; returns exp(r) - 1 and n.
template <class D, class V>
HWY_INLINE V SplitExpm1(D d, V x, V& fn) {
  using M = MathTraits<hn::TFromD<D>>;
  using T = hn::TFromD<D>;
  fn = hn::Round(hn::Mul(x, hn::Set(d, T(1.4426950408889634))));
  V r = hn::NegMulAdd(fn, hn::Set(d, M::kLn2Hi), x);
  r = hn::NegMulAdd(fn, hn::Set(d, M::kLn2Lo), r);
  return hn::MulAdd(hn::Mul(r, r), Poly(d, r, M::kExp), r);
}

/// The same with n as integers.
template <class D, class V, class VI>
HWY_INLINE V ReducedExpm1(D d, V x, VI& n) {
  V fn;
  const V p = SplitExpm1(d, x, fn);
  n = hn::ConvertTo(hn::RebindToSigned<D>(), fn);
  return p;
}

// x 2^n by one instruction, with one rounding, for any n.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
template <class V>
inline constexpr bool kScales = sizeof(V) == 64;
HWY_INLINE hn::Vec512<float> TimesPow2(hn::Vec512<float> x, hn::Vec512<float> n) {
  return hn::Vec512<float>{_mm512_scalef_ps(x.raw, n.raw)};
}
HWY_INLINE hn::Vec512<double> TimesPow2(hn::Vec512<double> x, hn::Vec512<double> n) {
  return hn::Vec512<double>{_mm512_scalef_pd(x.raw, n.raw)};
}
#else
template <class V>
inline constexpr bool kScales = false;
#endif

/// exp(x) where it is normal and finite.
template <class D, class V>
HWY_INLINE V ExpInRange(D d, V x) {
  V n;
  const V p = hn::Add(SplitExpm1(d, x, n), hn::Set(d, hn::TFromD<D>(1)));
  if constexpr (kScales<V>)
    return TimesPow2(p, n);
  else
    return hn::Mul(p, Pow2(d, hn::ConvertTo(hn::RebindToSigned<D>(), n)));
}

template <class D, class V>
HWY_INLINE V Exp(D d, V x) {
  using M = MathTraits<hn::TFromD<D>>;
  using T = hn::TFromD<D>;
  // Lanes whose result is 0 compute exp(0): a product that underflows costs a hundred cycles, and
  // masks of -inf are common.
  const auto zero = hn::Lt(x, hn::Set(d, M::kExpLow));
  if constexpr (kScales<V>) {  // its Min gives a NaN that comes second
    const V c = hn::IfThenZeroElse(zero, hn::Min(hn::Set(d, M::kExpHigh), x));
    return hn::IfThenZeroElse(zero, ExpInRange(d, c));
  }
  const hn::RebindToSigned<D> di;
  hn::Vec<decltype(di)> n;
  const V c = hn::IfThenZeroElse(zero, hn::Min(x, hn::Set(d, M::kExpHigh)));
  const V p = hn::Add(ReducedExpm1(d, c, n), hn::Set(d, T(1)));
  // Two factors, since 2^n itself may be subnormal or too large.
  const auto half = hn::ShiftRight<1>(n);
  const V y = hn::Mul(hn::Mul(p, Pow2(d, half)), Pow2(d, hn::Sub(n, half)));
  return NotANumber(d, x, hn::IfThenZeroElse(zero, y));
}

template <class D, class V>
HWY_INLINE V Expm1(D d, V x) {
  using M = MathTraits<hn::TFromD<D>>;
  using T = hn::TFromD<D>;
  const hn::RebindToSigned<D> di;
  hn::Vec<decltype(di)> n;
  const V c = hn::Max(hn::Min(x, hn::Set(d, M::kExpHigh)), hn::Set(d, M::kExpm1Low));
  const V p = ReducedExpm1(d, c, n);
  const V s = Pow2(d, hn::Sub(n, hn::Set(di, hn::TFromD<decltype(di)>{1})));  // half of 2^n
  const V h = hn::MulAdd(s, p, hn::Sub(s, hn::Set(d, T(0.5))));
  const V y = hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, M::kTiny)), x, hn::Add(h, h));
  return NotANumber(d, x, y);
}

/// log(x) + extra, for an extra that is small beside ulps of log(x) (or log(x) = 0).
template <class D, class V>
HWY_INLINE V LogPlus(D d, V x, V extra) {
  using M = MathTraits<hn::TFromD<D>>;
  using T = hn::TFromD<D>;
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  using U = hn::TFromD<decltype(du)>;
  using I = hn::TFromD<decltype(di)>;
  const auto small = hn::Lt(x, hn::Set(d, std::numeric_limits<T>::min()));
  const V scaled = hn::IfThenElse(small, hn::Mul(x, hn::Set(d, M::kScaleSubnormal)), x);
  // m in [sqrt(1/2), sqrt(2)) and k with scaled = m 2^k.
  constexpr U one = U(M::kBias) << M::kMantissa;
  const auto u = hn::Add(hn::BitCast(du, scaled), hn::Set(du, U(one - M::kSqrtHalf)));
  const auto k =
      hn::Sub(hn::BitCast(di, hn::ShiftRight<M::kMantissa>(u)), hn::Set(di, I(M::kBias)));
  V fk = hn::ConvertTo(d, k);
  fk = hn::Sub(fk, hn::IfThenElseZero(small, hn::Set(d, M::kScaleBits)));
  const auto mask = hn::Set(du, (U(1) << M::kMantissa) - 1);
  const V m = hn::BitCast(d, hn::Add(hn::And(u, mask), hn::Set(du, U(M::kSqrtHalf))));
  // log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f).
  const V f = hn::Sub(m, hn::Set(d, T(1)));
  const V s = hn::Div(f, hn::Add(f, hn::Set(d, T(2))));
  const V z = hn::Mul(s, s);
  const V R = hn::Mul(z, Poly(d, z, M::kLog));
  const V hfsq = hn::Mul(hn::Mul(f, f), hn::Set(d, T(0.5)));
  const V low = hn::MulAdd(fk, hn::Set(d, M::kLn2Lo), extra);
  const V t = hn::Sub(hn::Sub(hfsq, hn::MulAdd(s, hn::Add(hfsq, R), low)), f);
  V y = hn::MulSub(fk, hn::Set(d, M::kLn2Hi), t);
  const V inf = hn::Set(d, std::numeric_limits<T>::infinity());
  y = hn::IfThenElse(hn::Eq(x, inf), x, y);
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(inf), y);
  y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Set(d, std::numeric_limits<T>::quiet_NaN()), y);
  return NotANumber(d, x, y);
}

template <class D, class V>
HWY_INLINE V Log(D d, V x) {
  return LogPlus(d, x, hn::Zero(d));
}

template <class D, class V>
HWY_INLINE V Log1p(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1));
  const V u = hn::Add(x, one);
  // What the sum lost, exactly.
  const V lost = hn::IfThenElse(hn::Lt(hn::Abs(x), one), hn::Sub(x, hn::Sub(u, one)),
                                hn::Sub(one, hn::Sub(u, x)));
  const V y = LogPlus(d, u, hn::Div(lost, u));
  const V inf = hn::Set(d, std::numeric_limits<T>::infinity());
  const auto same = hn::Or(hn::Eq(x, inf), hn::Lt(hn::Abs(x), hn::Set(d, MathTraits<T>::kTiny)));
  return hn::IfThenElse(same, x, y);
}

template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1)), two = hn::Set(d, T(2));
  const V a = hn::Min(hn::Abs(x), hn::Set(d, MathTraits<T>::kTanhHigh));
  V y;
  if constexpr (sizeof(T) == 4) {
    static constexpr float kSmall[] = {-0.333333313f, 0.133331984f,    -0.0539456457f,
                                       0.0216938388f, -0.00815890357f, 0.0021248546f};
    const V z = hn::Mul(a, a);
    const V near = hn::MulAdd(hn::Mul(a, z), Poly(d, z, kSmall), a);
    const V far = hn::Sub(one, hn::Div(two, hn::Add(ExpInRange(d, hn::Add(a, a)), one)));
    y = hn::IfThenElse(hn::Lt(z, hn::Set(d, 0.4f)), near, far);
  } else {
    const V t = Expm1(d, hn::Add(a, a));
    const auto small = hn::Lt(a, hn::Set(d, T(0.5)));
    const V q = hn::Div(hn::IfThenElse(small, t, two), hn::Add(t, two));
    y = hn::IfThenElse(small, q, hn::Sub(one, q));
  }
  return NotANumber(d, x, hn::CopySign(y, x));
}

template <class D, class V>
HWY_INLINE V Sigmoid(D d, V x) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1));
  const V e = Exp(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Ge(x, hn::Zero(d)), one, e), hn::Add(one, e));
}

/// log(1 + exp(-|x|)), the part that softplus and log_sigmoid share.
template <class D, class V>
HWY_INLINE V Log1pExpNegAbs(D d, V x) {
  return Log1p(d, Exp(d, hn::Neg(hn::Abs(x))));
}

template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  static constexpr float kSmall[] = {0.128379166f,    -0.376126379f,   0.112837829f,
                                     -0.0268654451f,  0.00522107491f,  -0.000848471129f,
                                     0.000112705449f, -9.68013683e-06f};
  static constexpr float kLarge[] = {0.000312459742f, 1.12720227f,    0.637964904f,    0.10325627f,
                                     -0.0219065081f,  0.00296401442f, -0.000187972561f};
  const V a = hn::Min(hn::Abs(x), hn::Set(d, 4.f));
  const V near = hn::MulAdd(a, Poly(d, hn::Mul(a, a), kSmall), a);
  const V far = hn::Sub(hn::Set(d, 1.f), Exp(d, hn::Neg(Poly(d, a, kLarge))));
  const V y = hn::IfThenElse(hn::Lt(a, hn::Set(d, 1.f)), near, far);
  return NotANumber(d, x, hn::CopySign(y, x));
}

/// For floats: erfc(a) exp(a^2) = t P(1 - 2t) with t = 1 / (1 + a/2); P was fitted on
/// 0 <= a <= 10.2, where results reach 0, with a relative error of 3.5e-9.
template <class D, class V>
HWY_INLINE V Erfc(D d, V x) {
  static constexpr float kFit[] = {0.510791361f,    -0.343580335f,    0.139735878f,
                                   -0.0182209034f,  -0.0107528325f,   0.0032380349f,
                                   0.00153122074f,  -0.000416348688f, -0.000296291866f,
                                   2.38232551e-05f, 3.4928591e-05f};
  const V one = hn::Set(d, 1.f), a = hn::Min(hn::Abs(x), hn::Set(d, 10.2f));
  const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.5f), one));
  const V p = hn::Mul(t, Poly(d, hn::NegMulAdd(t, hn::Set(d, 2.f), one), kFit));
  // exp would multiply the rounding error of a^2 by a^2.
  const V square = hn::Mul(a, a);
#if HWY_TARGET == HWY_SCALAR
  const double exact = double{hn::GetLane(a)} * double{hn::GetLane(a)};
  const V lost = hn::Set(d, static_cast<float>(exact - double{hn::GetLane(square)}));
#else
  const V lost = hn::MulSub(a, a, square);
#endif
  const V e = Exp(d, hn::Neg(square));
  const V y = hn::Mul(p, hn::NegMulAdd(e, lost, e));
  return NotANumber(d, x, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(hn::Set(d, 2.f), y), y));
}

#if HWY_TARGET == HWY_SCALAR
/// The fallback target's own conversion saturates where IEEE has infinities.
template <class D, class V>
HWY_INLINE hn::Vec<D> ToFloat(D dh, V v) {
  return hn::Set(dh, static_cast<float>(hn::GetLane(v)));
}
template <class D>
using HalfTag = D;
template <class D, class V>
HWY_INLINE V JoinHalves(D, V, V low) {
  return low;
}
template <class D, class V>
HWY_INLINE V HighHalf(D, V v) {
  return v;
}
template <class D, class V>
HWY_INLINE V LowHalf(D, V v) {
  return v;
}
#else
template <class D, class V>
HWY_INLINE hn::Vec<D> ToFloat(D dh, V v) {
  return hn::DemoteTo(dh, v);
}
template <class D>
using HalfTag = hn::Half<D>;
template <class D, class V>
HWY_INLINE hn::Vec<D> JoinHalves(D d, V high, V low) {
  return hn::Combine(d, high, low);
}
template <class D, class V>
HWY_INLINE hn::Vec<D> HighHalf(D dh, V v) {
  return hn::UpperHalf(dh, v);
}
template <class D, class V>
HWY_INLINE hn::Vec<D> LowHalf(D dh, V v) {
  return hn::LowerHalf(dh, v);
}
#endif

/// f of each f32 lane, computed in f64 lanes.
template <class D, class V, class F>
HWY_INLINE V ViaDouble(D d, V x, F f) {
  const HalfTag<D> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const auto part = [&](auto v) HWY_ATTR { return ToFloat(dh, f(dd, hn::PromoteTo(dd, v))); };
  return JoinHalves(d, part(HighHalf(dh, x)), part(LowHalf(dh, x)));
}

/// exp(y log|x|) in f64, with the cases of C's pow.
template <class D, class V>
HWY_INLINE V Pow(D d, V x, V y) {
  const HalfTag<D> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const V a = hn::Abs(x);
  const auto part = [&](auto ah, auto yh) HWY_ATTR {
    const auto l = Log(dd, hn::PromoteTo(dd, ah));
    return ToFloat(dh, Exp(dd, hn::Mul(hn::PromoteTo(dd, yh), l)));
  };
  V r = JoinHalves(d, part(HighHalf(dh, a), HighHalf(dh, y)), part(LowHalf(dh, a), LowHalf(dh, y)));
  const V one = hn::Set(d, 1.f), inf = hn::Set(d, std::numeric_limits<float>::infinity());
  const V half = hn::Mul(y, hn::Set(d, 0.5f));
  const auto whole = hn::Eq(hn::Round(y), y);
  const auto odd = hn::And(whole, hn::Ne(hn::Round(half), half));
  const auto negative = hn::Lt(hn::CopySign(one, x), hn::Zero(d));
  r = hn::IfThenElse(hn::And(negative, odd), hn::Neg(r), r);
  const auto undefined = hn::AndNot(whole, hn::And(hn::Lt(x, hn::Zero(d)), hn::Lt(a, inf)));
  r = hn::IfThenElse(hn::And(undefined, hn::Eq(y, y)),
                     hn::Set(d, std::numeric_limits<float>::quiet_NaN()), r);
  const auto unit = hn::Or(hn::Or(hn::Eq(y, hn::Zero(d)), hn::Eq(x, one)),
                           hn::And(hn::Eq(a, one), hn::Eq(hn::Abs(y), inf)));
  return hn::IfThenElse(unit, one, r);
}

/// x = n pi/2 + r, reduced in f64. Valid for |x| <= 1e6.
template <class D, class V, class VI>
HWY_INLINE V ReduceHalfPi(D d, V x, VI& n) {
  const HalfTag<D> dh;
  const hn::Rebind<double, decltype(dh)> dd;
  const hn::RebindToSigned<D> di;
  const HalfTag<decltype(di)> dih;
  hn::Vec<decltype(dih)> nh[2];
  const auto part = [&](auto v, auto& q) HWY_ATTR {
    const auto xd = hn::PromoteTo(dd, v);
    const auto fn = hn::Round(hn::Mul(xd, hn::Set(dd, 0.63661977236758134)));
    auto r = hn::NegMulAdd(fn, hn::Set(dd, 0x1.921fb54400000p+0), xd);  // 33 bits: exact product
    r = hn::NegMulAdd(fn, hn::Set(dd, 0x1.0b4611a600000p-34), r);
    r = hn::NegMulAdd(fn, hn::Set(dd, 0x1.3198a2e037073p-69), r);
    q = hn::DemoteTo(dih, fn);
    return ToFloat(dh, r);
  };
  const auto lo = part(LowHalf(dh, x), nh[0]), hi = part(HighHalf(dh, x), nh[1]);
  n = JoinHalves(di, nh[1], nh[0]);
  return JoinHalves(d, hi, lo);
}

/// sin(x + shift pi/2).
template <class D, class V>
HWY_INLINE V SinShifted(D d, V x, int shift) {
  static constexpr float kSin[] = {-1 / 6.f, 1 / 120.f, -1 / 5040.f, 1 / 362880.f};
  static constexpr float kCos[] = {-0.5f, 1 / 24.f, -1 / 720.f, 1 / 40320.f, -1 / 3628800.f};
  const V a = hn::Abs(x);
  const auto large = hn::Gt(a, hn::Set(d, 1e6f));
  if (!hn::AllFalse(d, large)) {  // rare: the reduction needs more bits
    HWY_ALIGN float lanes[hn::MaxLanes(D())];
    hn::Store(x, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); ++i)
      lanes[i] =
          static_cast<float>(shift ? std::cos(double{lanes[i]}) : std::sin(double{lanes[i]}));
    return hn::Load(d, lanes);
  }
  const hn::RebindToSigned<D> di;
  hn::Vec<decltype(di)> n;
  const V r = ReduceHalfPi(d, x, n);
  n = hn::Add(n, hn::Set(di, shift));
  const V z = hn::Mul(r, r);
  const V s = hn::MulAdd(hn::Mul(r, z), Poly(d, z, kSin), r);
  const V c = hn::MulAdd(z, Poly(d, z, kCos), hn::Set(d, 1.f));
  const auto odd = hn::RebindMask(d, hn::Ne(hn::And(n, hn::Set(di, 1)), hn::Zero(di)));
  const V sign = hn::BitCast(d, hn::ShiftLeft<30>(hn::And(n, hn::Set(di, 2))));
  const V y = hn::Xor(hn::IfThenElse(odd, c, s), sign);
  return shift ? y : hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y);
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
