#include "backends/cpu/simd/quantize_loops.h"

#include <limits>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/quantize_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;

template <class T>
void Quantize(const float* x, float scale, float zero, int64_t n, T* q) {
  const F d;
  const hn::Rebind<T, F> narrow;
  const hn::Rebind<int32_t, F> whole;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto s = hn::Set(d, scale);
  const auto low = hn::Set(d, static_cast<float>(std::numeric_limits<T>::min()) - zero),
             high = hn::Set(d, static_cast<float>(std::numeric_limits<T>::max()) - zero);
  const auto z = hn::Set(whole, static_cast<int32_t>(zero));
  const auto vector = [&](hn::Vec<F> v) HWY_ATTR {
    const auto ratio = hn::Div(v, s);
    const auto kept = hn::Min(hn::IfThenElse(hn::Ge(ratio, low), ratio, low), high);
    return hn::DemoteTo(narrow, hn::Add(hn::NearestInt(kept), z));
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(vector(hn::LoadU(d, x + i)), narrow, q + i);
  HWY_ALIGN float rest[hn::MaxLanes(F())] = {};
  HWY_ALIGN T done[hn::MaxLanes(F())];
  for (int64_t k = i; k < n; ++k) rest[k - i] = x[k];
  hn::StoreU(vector(hn::Load(d, rest)), narrow, done);
  for (int64_t k = i; k < n; ++k) q[k] = done[k - i];
}

template <class T>
void Dequantize(const T* q, float scale, float zero, int64_t n, float* x) {
  const F d;
  const hn::Rebind<T, F> narrow;
  const hn::Rebind<int32_t, F> whole;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto s = hn::Set(d, scale);
  const auto z = hn::Set(whole, static_cast<int32_t>(zero));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto steps = hn::Sub(hn::PromoteTo(whole, hn::LoadU(narrow, q + i)), z);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, steps), s), d, x + i);
  }
  for (; i < n; ++i) x[i] = static_cast<float>(q[i] - static_cast<int32_t>(zero)) * scale;
}

template <class T>
const QuantizeLoops<T>* Table() {
  static constexpr QuantizeLoops<T> table = {Quantize<T>, Dequantize<T>};
  return &table;
}
const QuantizeLoops<uint8_t>* TableU8() { return Table<uint8_t>(); }
const QuantizeLoops<int8_t>* TableI8() { return Table<int8_t>(); }

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(TableU8);
HWY_EXPORT(TableI8);

template <>
const QuantizeLoops<uint8_t>& quantize_loops() {
  return *HWY_DYNAMIC_DISPATCH(TableU8)();
}
template <>
const QuantizeLoops<int8_t>& quantize_loops() {
  return *HWY_DYNAMIC_DISPATCH(TableI8)();
}

}  // namespace nacre::cpu
#endif
