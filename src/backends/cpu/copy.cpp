#include "backends/cpu/copy.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/simd/convert.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

struct Dim {
  int64_t size, from, to;  // strides in elements
};

/// Allocates as little as Shape does.
class Dims {
 public:
  int64_t size() const { return sizes_.rank(); }
  Dim operator[](int64_t i) const { return {sizes_.begin()[i], from_.begin()[i], to_.begin()[i]}; }
  void push_back(const Dim& d) {
    sizes_.push_back(d.size);
    from_.push_back(d.from);
    to_.push_back(d.to);
  }
  void pop_back() {
    for (Shape* s : {&sizes_, &from_, &to_}) s->resize(s->size() - 1);
  }

 private:
  Shape sizes_, from_, to_;
};

// The view as few loops as possible: unit dimensions dropped, adjacent ones that continue each
// other merged.
Dims collapse(const Shape& shape, const Shape& strides) {
  const Shape dense = contiguous_strides(shape);
  Dims dims;
  for (int64_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    Dim d{shape[i], strides[i], dense[i]};
    if (const int64_t n = dims.size(); n > 0 && dims[n - 1].from == d.from * d.size) {
      d.size *= dims[n - 1].size;
      dims.pop_back();
    }
    dims.push_back(d);
  }
  if (dims.size() == 0) dims.push_back({1, 1, 1});
  return dims;
}

// A tile of a matrix whose source runs along the rows: reads and writes stay within few cache
// lines.
template <typename T>
void transpose(const T* from, int64_t from_row, int64_t from_col, T* to, int64_t to_row,
               int64_t rows, int64_t cols) {
  constexpr int64_t tile = 64 / sizeof(T) < 8 ? 8 : 64 / sizeof(T);
  for (int64_t r0 = 0; r0 < rows; r0 += tile)
    for (int64_t c0 = 0; c0 < cols; c0 += tile) {
      const int64_t r1 = std::min(rows, r0 + tile), c1 = std::min(cols, c0 + tile);
      for (int64_t r = r0; r < r1; ++r)
        for (int64_t c = c0; c < c1; ++c) to[r * to_row + c] = from[r * from_row + c * from_col];
    }
}

template <typename T>
void row(const T* from, int64_t stride, T* to, int64_t n) {
  if (stride == 1)
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  else if (stride == 0)
    std::fill_n(to, n, *from);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
}

template <typename T>
void copy_typed(const Dims& dims, const T* from, T* to) {
  const int64_t rank = dims.size();
  const Dim inner = dims[rank - 1];
  constexpr int64_t grain = 1 << 14;
  if (rank == 1) {
    parallel_for(inner.size, grain, [&](int64_t b, int64_t e) {
      row(from + b * inner.from, inner.from, to + b, e - b);
    });
    return;
  }
  // The dimension with the shortest source stride, if it is not the innermost: a transposition.
  int64_t pair = rank - 2;
  if (inner.from != 1 && inner.from != 0)
    for (int64_t i = rank - 2; i >= 0; --i)
      if (dims[i].from == 1) pair = i;
  const Dim second = dims[pair];
  const bool transposed = second.from == 1 && inner.from != 0 && inner.from != 1;
  Dims outer;
  int64_t count = 1;
  for (int64_t i = 0; i < rank - 1; ++i)
    if (i != pair) {
      outer.push_back(dims[i]);
      count *= dims[i].size;
    }
  // One unit of work: a block of rows of one (second, inner) matrix.
  const int64_t block = transposed ? 16 : std::max<int64_t>(1, 4096 / inner.size);
  const int64_t blocks = (second.size + block - 1) / block;
  const int64_t unit = std::max<int64_t>(1, std::min(block, second.size) * inner.size);
  parallel_for(count * blocks, std::max<int64_t>(1, grain / unit), [&](int64_t b, int64_t e) {
    for (int64_t w = b; w < e; ++w) {
      int64_t rest = w / blocks, source = 0, target = 0;
      for (int64_t i = outer.size(); i-- > 0;) {
        const Dim d = outer[i];
        source += rest % d.size * d.from;
        target += rest % d.size * d.to;
        rest /= d.size;
      }
      const int64_t r0 = w % blocks * block, r1 = std::min(second.size, r0 + block);
      const T* f = from + source + r0 * second.from;
      T* t = to + target + r0 * second.to;
      if (transposed)
        transpose(f, second.from, inner.from, t, second.to, r1 - r0, inner.size);
      else
        for (int64_t r = r0; r < r1; ++r, f += second.from, t += second.to)
          row(f, inner.from, t, inner.size);
    }
  });
}

constexpr int64_t kConvertGrain = 1 << 14;

}  // namespace

void copy_dense(const Shape& shape, const Shape& strides, size_t element_bytes, const void* from,
                void* to) {
  if (shape.numel() == 0) return;
  const auto dims = collapse(shape, strides);
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    copy_typed(dims, static_cast<const T*>(from), static_cast<T*>(to));
  };
  switch (element_bytes) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    default:
      return as(uint64_t{});
  }
}

void widen(DType from, const void* src, float* dst, int64_t n) {
  const auto* s = static_cast<const uint16_t*>(src);
  parallel_for(n, kConvertGrain,
               [&](int64_t b, int64_t e) { widen16(from, s + b, dst + b, e - b); });
}

void narrow(DType to, const float* src, void* dst, int64_t n) {
  auto* d = static_cast<uint16_t*>(dst);
  parallel_for(n, kConvertGrain,
               [&](int64_t b, int64_t e) { narrow16(to, src + b, d + b, e - b); });
}

}  // namespace nacre::cpu
