#include "backends/cpu/simd/strided.h"

#include <algorithm>
#include <cstring>

namespace nacre::cpu {
namespace {

/// `times` copies of a row, one after the other.
template <class T>
void repeat(const T* row, int64_t size, int64_t times, T* out) {
  const int64_t all = size * times;
  std::memcpy(out, row, static_cast<size_t>(size) * sizeof(T));
  for (int64_t done = size; done < all; done *= 2)
    std::memcpy(out + done, out, static_cast<size_t>(std::min(done, all - done)) * sizeof(T));
}

template <class T>
void gather_typed(const Layout& layout, const void* memory, int64_t begin, int64_t n, void* to) {
  const T* base = static_cast<const T*>(memory);
  T* out = static_cast<T*>(to);
  const int64_t rank = layout.sizes.rank();
  const int64_t* sizes = layout.sizes.data();
  const int64_t* strides = layout.strides.data();
  Shape at(static_cast<size_t>(rank), 0);
  int64_t* coordinate = at.begin();
  int64_t offset = 0;
  for (int64_t i = rank - 1, left = begin; i >= 0; --i) {
    coordinate[i] = left % sizes[i];
    left /= sizes[i];
    offset += coordinate[i] * strides[i];
  }
  const int64_t last = rank - 1, step = strides[last];
  while (n > 0) {
    if (step == 1 && last > 0 && strides[last - 1] == 0 && coordinate[last] == 0 &&
        n >= 2 * sizes[last]) {  // a row that is repeated
      const int64_t row = sizes[last],
                    times = std::min(n / row, sizes[last - 1] - coordinate[last - 1]);
      repeat(base + offset, row, times, out);
      out += times * row;
      n -= times * row;
      coordinate[last - 1] += times;
      for (int64_t i = last - 1; i > 0 && coordinate[i] == sizes[i]; --i) {
        offset += strides[i - 1] - sizes[i] * strides[i];
        coordinate[i] = 0;
        ++coordinate[i - 1];
      }
      continue;
    }
    const int64_t run = std::min(n, sizes[last] - coordinate[last]);
    const T* from = base + offset;
    if (step == 1)
      std::memcpy(out, from, static_cast<size_t>(run) * sizeof(T));
    else if (step == 0)
      repeat(from, 1, run, out);
    else
      for (int64_t i = 0; i < run; ++i) out[i] = from[i * step];
    out += run;
    n -= run;
    offset += run * step;
    coordinate[last] += run;
    for (int64_t i = last; i > 0 && coordinate[i] == sizes[i]; --i) {
      offset += strides[i - 1] - sizes[i] * strides[i];
      coordinate[i] = 0;
      ++coordinate[i - 1];
    }
  }
}

}  // namespace

Layout make_layout(const Shape& shape, const Shape& strides, const Shape& to) {
  Layout layout;
  const int64_t shift = to.rank() - shape.rank();
  for (int64_t i = 0; i < to.rank(); ++i) {
    if (to[i] == 1) continue;
    const int64_t stride = i < shift || shape[i - shift] == 1 ? 0 : strides[i - shift];
    if (!layout.sizes.empty() && layout.strides.back() == stride * to[i]) {
      layout.sizes[-1] *= to[i];
      layout.strides[-1] = stride;
    } else {
      layout.sizes.push_back(to[i]);
      layout.strides.push_back(stride);
    }
  }
  if (layout.sizes.empty()) {
    layout.sizes.push_back(1);
    layout.strides.push_back(1);
  }
  return layout;
}

void gather(const Layout& layout, size_t size, const void* base, int64_t begin, int64_t n,
            void* out) {
  switch (size) {
    case 1:
      return gather_typed<uint8_t>(layout, base, begin, n, out);
    case 2:
      return gather_typed<uint16_t>(layout, base, begin, n, out);
    case 4:
      return gather_typed<uint32_t>(layout, base, begin, n, out);
    default:
      return gather_typed<uint64_t>(layout, base, begin, n, out);
  }
}

}  // namespace nacre::cpu
