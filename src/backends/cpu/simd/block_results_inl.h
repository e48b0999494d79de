// What becomes of sums that lie in registers; included once per target, hence the guard that
// toggles.
#if defined(NACRE_CPU_BLOCK_RESULTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NACRE_CPU_BLOCK_RESULTS_INL_H_
#undef NACRE_CPU_BLOCK_RESULTS_INL_H_
#else
#define NACRE_CPU_BLOCK_RESULTS_INL_H_
#endif

#include <hwy/highway.h>
#include "backends/cpu/simd/block_tiles.h"
#include "backends/cpu/simd/math_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {

/// x * sigmoid(x) by an approximate reciprocal and one step of Newton's, within 1e-6 of the value
/// where exp(x) is a normal number, and within 1e-35 elsewhere. NaN stays; of -inf it is -1e-36.
template <class D, class V>
HWY_INLINE V Swish(D d, V x) {
  const V most = hn::Set(d, 87.f);
  x = hn::Max(hn::Neg(most), x);
  const V sum = hn::Add(ExpInRange(d, hn::Neg(hn::Min(most, x))), hn::Set(d, 1.f));  // 1 + exp(-x)
  const V r = hn::ApproximateReciprocal(sum);
  return hn::Mul(x, hn::Mul(r, hn::NegMulAdd(sum, r, hn::Set(d, 2.f))));
}

/// The activation and the limits of `to`; NaN stays.
template <class D, class V>
HWY_INLINE V Activated(D d, const BlockResults& to, V x) {
  if (to.swish) x = Swish(d, x);
  return hn::Min(hn::Set(d, to.high), hn::Max(hn::Set(d, to.low), x));
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
