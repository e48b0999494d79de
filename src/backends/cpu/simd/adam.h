// A step of Adam in one pass over memory.
#pragma once

#include <cstdint>

namespace nacre::cpu {

template <class T>
struct AdamNumbers {
  T beta1, rest1, beta2, rest2;  ///< rest: 1 - beta
  T rate, correction, shrink, eps;
};

/// The outputs may be the inputs p, m and v. T is float or double.
template <class T>
void adam_step(const AdamNumbers<T>& a, const T* p, const T* g, const T* m, const T* v, T* new_p,
               T* new_m, T* new_v, int64_t n);

}  // namespace nacre::cpu
