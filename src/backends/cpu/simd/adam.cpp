#include "backends/cpu/simd/adam.h"

#include <cmath>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/adam.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void AdamStep(const AdamNumbers<T>& a, const T* p, const T* g, const T* m, const T* v, T* new_p,
              T* new_m, T* new_v, size_t n) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const auto step = [&](const T* pp, const T* gg, const T* mm, const T* vv, T* np, T* nm,
                        T* nv) HWY_ATTR {
    const auto x = hn::LoadU(d, gg);
    const auto m1 =
        hn::MulAdd(hn::Set(d, a.rest1), x, hn::Mul(hn::Set(d, a.beta1), hn::LoadU(d, mm)));
    const auto v1 = hn::MulAdd(hn::Mul(hn::Set(d, a.rest2), x), x,
                               hn::Mul(hn::Set(d, a.beta2), hn::LoadU(d, vv)));
    const auto below = hn::MulAdd(hn::Sqrt(v1), hn::Set(d, a.correction), hn::Set(d, a.eps));
    const auto change = hn::Div(hn::Mul(hn::Set(d, a.rate), m1), below);
    hn::StoreU(hn::MulSub(hn::Set(d, a.shrink), hn::LoadU(d, pp), change), d, np);
    hn::StoreU(m1, d, nm);
    hn::StoreU(v1, d, nv);
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    step(p + i, g + i, m + i, v + i, new_p + i, new_m + i, new_v + i);
  if (i == n) return;
  HWY_ALIGN T rest[4][hn::MaxLanes(hn::ScalableTag<T>())] = {};
  const T* from[4] = {p, g, m, v};
  for (size_t k = 0; k < 4; ++k)
    for (size_t j = i; j < n; ++j) rest[k][j - i] = from[k][j];
  step(rest[0], rest[1], rest[2], rest[3], rest[0], rest[2], rest[3]);
  for (size_t j = i; j < n; ++j) {
    new_p[j] = rest[0][j - i];
    new_m[j] = rest[2][j - i];
    new_v[j] = rest[3][j - i];
  }
}

}  // namespace

void Adam32(const AdamNumbers<float>& a, const float* p, const float* g, const float* m,
            const float* v, float* new_p, float* new_m, float* new_v, size_t n) {
  AdamStep(a, p, g, m, v, new_p, new_m, new_v, n);
}
void Adam64(const AdamNumbers<double>& a, const double* p, const double* g, const double* m,
            const double* v, double* new_p, double* new_m, double* new_v, size_t n) {
  AdamStep(a, p, g, m, v, new_p, new_m, new_v, n);
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Adam32);
HWY_EXPORT(Adam64);

template <>
void adam_step(const AdamNumbers<float>& a, const float* p, const float* g, const float* m,
               const float* v, float* new_p, float* new_m, float* new_v, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Adam32)(a, p, g, m, v, new_p, new_m, new_v, static_cast<size_t>(n));
}
template <>
void adam_step(const AdamNumbers<double>& a, const double* p, const double* g, const double* m,
               const double* v, double* new_p, double* new_m, double* new_v, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Adam64)(a, p, g, m, v, new_p, new_m, new_v, static_cast<size_t>(n));
}

}  // namespace nacre::cpu
#endif
