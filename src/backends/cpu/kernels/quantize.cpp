// quantize and dequantize: vector loops of f32, plain ones of f64.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/simd/quantize_loops.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kPiece = 1 << 15;  // elements that are worth a thread

/// Where the scale of an element lies: rows of `inner` elements have one, `scales` in turn.
struct Rows {
  int64_t scales = 1, inner = 1, count = 1;
  Rows(const Shape& x, const Shape& scale, int64_t axis) {
    if (scale.rank() == 0) {  // rows as short as a thread may take
      inner = std::min(std::max<int64_t>(1, x.numel()), kPiece);
      count = (x.numel() + inner - 1) / inner;
      return;
    }
    scales = x[axis];
    inner = x.slice(axis + 1, x.rank()).numel();
    count = inner > 0 ? x.numel() / inner : 0;
  }
  /// Calls f(first element, elements, number of the scale) for all rows.
  template <typename F>
  void each(int64_t total, F f) const {
    parallel_for(count, std::max<int64_t>(1, kPiece / std::max<int64_t>(1, inner)),
                 [&](int64_t from, int64_t to) {
                   for (int64_t r = from; r < to; ++r)
                     f(r * inner, std::min(inner, total - r * inner), r % scales);
                 });
  }
};

template <class T>
class Quantize final : public Kernel {
 public:
  explicit Quantize(const KernelQuery& q)
      : rows_(q.in[0].shape, q.in[1].shape, q.integer("axis")), total_(q.in[0].numel()) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const float*>(in[0]);
    const auto* scale = static_cast<const float*>(in[1]);
    const auto* zero = static_cast<const T*>(in[2]);
    auto* q = static_cast<T*>(out[0]);
    const auto& loops = quantize_loops<T>();
    rows_.each(total_, [&](int64_t at, int64_t n, int64_t k) {
      loops.quantize(x + at, scale[k], static_cast<float>(zero[k]), n, q + at);
    });
  }

 private:
  Rows rows_;
  int64_t total_;
};

/// Of planes that are read as [N, H, W, C] and have one scale.
template <class T>
class QuantizePlanes final : public Kernel {
 public:
  explicit QuantizePlanes(const Operand& x) : shape_(x.shape), strides_(x.strides) {}
  std::string description() const override { return "simd:planes"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const float*>(in[0]);
    const float scale = *static_cast<const float*>(in[1]);
    const auto zero = static_cast<float>(*static_cast<const T*>(in[2]));
    auto* q = static_cast<T*>(out[0]);
    const auto& loops = quantize_loops<T>();
    const int64_t height = shape_[1], width = shape_[2], channels = shape_[3];
    const int64_t line = width * channels;
    parallel_for(
        shape_[0] * height, std::max<int64_t>(1, kPiece / line), [&](int64_t from, int64_t to) {
          std::vector<T> row(static_cast<size_t>(width));
          for (int64_t r = from; r < to; ++r)
            for (int64_t c = 0; c < channels; ++c) {
              const float* values =
                  x + r / height * strides_[0] + r % height * strides_[1] + c * strides_[3];
              loops.quantize(values, scale, zero, width, row.data());
              T* pixel = q + r * line + c;
              for (int64_t w = 0; w < width; ++w) pixel[w * channels] = row[w];
            }
        });
  }

 private:
  Shape shape_, strides_;
};

template <class T>
class Dequantize final : public Kernel {
 public:
  explicit Dequantize(const KernelQuery& q)
      : rows_(q.in[0].shape, q.in[1].shape, q.integer("axis")), total_(q.in[0].numel()) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* q = static_cast<const T*>(in[0]);
    const auto* scale = static_cast<const float*>(in[1]);
    const auto* zero = static_cast<const T*>(in[2]);
    auto* x = static_cast<float*>(out[0]);
    rows_.each(total_, [&](int64_t at, int64_t n, int64_t k) {
      if constexpr (sizeof(T) == 1) {
        quantize_loops<T>().dequantize(q + at, scale[k], static_cast<float>(zero[k]), n, x + at);
      } else {
        for (int64_t i = at; i < at + n; ++i)
          x[i] = static_cast<float>(int64_t{q[i]} - int64_t{zero[k]}) * scale[k];
      }
    });
  }

 private:
  Rows rows_;
  int64_t total_;
};

/// Of f64, into integers (T) or, of these, back.
template <class T, bool back>
class InDouble final : public Kernel {
 public:
  explicit InDouble(const KernelQuery& q)
      : rows_(q.in[0].shape, q.in[1].shape, q.integer("axis")), total_(q.in[0].numel()) {}
  std::string description() const override { return "double"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* scale = static_cast<const double*>(in[1]);
    const auto* zero = static_cast<const T*>(in[2]);
    rows_.each(total_, [&](int64_t at, int64_t n, int64_t k) {
      const auto z = static_cast<double>(zero[k]);
      for (int64_t i = at; i < at + n; ++i) {
        if constexpr (back) {
          const auto steps = static_cast<double>(static_cast<const T*>(in[0])[i]) - z;
          static_cast<double*>(out[0])[i] = steps * scale[k];
        } else {
          constexpr double least = std::numeric_limits<T>::min(),
                           most = std::numeric_limits<T>::max();
          const double ratio = static_cast<const double*>(in[0])[i] / scale[k];
          const double kept = ratio > least - z ? std::min(ratio, most - z) : least - z;
          static_cast<T*>(out[0])[i] = static_cast<T>(std::nearbyint(kept) + z);
        }
      }
    });
  }

 private:
  Rows rows_;
  int64_t total_;
};

bool is_short(DType t) { return t == DType::bf16 || t == DType::f16; }

}  // namespace

KERNEL(quantize) {
  if (is_short(q.in[0].dtype) && is_short(q.in[1].dtype))
    return in_f32(q.in, q.out, [&](Operands in, Operands out) {
      return prepare_quantize({q.op, q.attrs, in, out, q.attrs_hash});
    });
  if (q.in[0].dtype == DType::f64 && q.in[1].dtype == DType::f64 && q.all_contiguous()) {
    if (q.out[0].dtype == DType::u8) return std::make_unique<InDouble<uint8_t, false>>(q);
    return std::make_unique<InDouble<int8_t, false>>(q);
  }
  if (q.in[0].dtype != DType::f32 || q.in[1].dtype != DType::f32 || !q.in[1].contiguous() ||
      !q.in[2].contiguous())
    return nullptr;
  const Operand& x = q.in[0];
  const bool bytes = q.out[0].dtype == DType::u8;
  if (x.contiguous()) {
    if (bytes) return std::make_unique<Quantize<uint8_t>>(q);
    return std::make_unique<Quantize<int8_t>>(q);
  }
  if (x.shape.rank() != 4 || x.strides[2] != 1 || x.numel() == 0 || q.in[1].shape.rank() != 0)
    return nullptr;
  if (bytes) return std::make_unique<QuantizePlanes<uint8_t>>(x);
  return std::make_unique<QuantizePlanes<int8_t>>(x);
}

KERNEL(dequantize) {
  if (!q.all_contiguous()) return nullptr;
  const DType from = q.in[0].dtype;
  if (is_short(q.out[0].dtype))
    return in_f32(q.in, q.out, [&](Operands in, Operands out) {
      return prepare_dequantize({q.op, q.attrs, in, out, q.attrs_hash});
    });
  if (q.out[0].dtype == DType::f64) {
    if (from == DType::u8) return std::make_unique<InDouble<uint8_t, true>>(q);
    if (from == DType::i8) return std::make_unique<InDouble<int8_t, true>>(q);
    return std::make_unique<InDouble<int32_t, true>>(q);
  }
  switch (from) {
    case DType::u8:
      return std::make_unique<Dequantize<uint8_t>>(q);
    case DType::i8:
      return std::make_unique<Dequantize<int8_t>>(q);
    default:
      return std::make_unique<Dequantize<int32_t>>(q);
  }
}

}  // namespace nacre::cpu
