// Walks over values with strides, of which kernels are made.
#pragma once

#include <algorithm>

#include "embed/step.h"

namespace nacre::embed {

/// Calls f(x, y, n) for each row of the innermost dimension, with positions in both.
template <typename F>
void for_rows(Sizes sizes, Sizes strides, F f) {
  if (sizes.empty()) return f(0, 0, 1);
  int64_t at[16] = {}, x = 0, y = 0, rows = 1;
  const size_t last = sizes.size() - 1;
  for (size_t d = 0; d < last; ++d) rows *= sizes[d];
  if (sizes[last] == 0) return;
  for (int64_t r = 0; r < rows; ++r, y += sizes[last]) {
    f(x, y, sizes[last]);
    for (size_t d = last; d-- > 0;) {
      x += strides[d];
      if (++at[d] < sizes[d]) break;
      x -= strides[d] * sizes[d];
      at[d] = 0;
    }
  }
}

template <typename F>
void pairs(Sizes sizes, const float* a, Sizes as, const float* b, Sizes bs, float* y, F f) {
  const int64_t da = sizes.empty() ? 0 : as.back(), db = sizes.empty() ? 0 : bs.back();
  int64_t at[16] = {}, pb = 0;
  for_rows(sizes, as, [&](int64_t pa, int64_t py, int64_t n) {
    const float *x = a + pa, *z = b + pb;
    float* to = y + py;
    if (da == 1 && db == 1)
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i], z[i]);
    else if (da == 1 && db == 0)
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i], *z);
    else
      for (int64_t i = 0; i < n; ++i) to[i] = f(x[i * da], z[i * db]);
    for (size_t d = sizes.empty() ? 0 : sizes.size() - 1; d-- > 0;) {
      pb += bs[d];
      if (++at[d] < sizes[d]) break;
      pb -= bs[d] * sizes[d];
      at[d] = 0;
    }
  });
}

}  // namespace nacre::embed
