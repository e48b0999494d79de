// combine_rows and update_rows: updates of a few rows of large tables.
#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

/// Entry k of an index, counted from the front.
int64_t index_at(DType t, const void* index, int64_t k, int64_t size) {
  const int64_t v = t == DType::i64 ? static_cast<const int64_t*>(index)[k]
                                    : static_cast<const int32_t*>(index)[k];
  const int64_t at = v < 0 ? v + size : v;
  if (at < 0 || at >= size)
    fail(Error::Kind::data, {"[embedding] index ", v, " at position ", k,
                             " is out of range for a table of ", size, " rows"});
  return at;
}

template <typename T>
class CombineRows final : public Kernel {
 public:
  CombineRows(const Operand& index, const Operand& src, int64_t size)
      : count_(index.numel()), size_(size), type_(index.dtype) {
    width_ = count_ ? src.numel() / count_ : 0;
  }
  size_t scratch_bytes() const override { return static_cast<size_t>(count_) * sizeof(Entry); }
  bool may_alias(int in, int out) const override { return in == 1 && out == 0; }
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* order = static_cast<Entry*>(scratch);
    for (int64_t k = 0; k < count_; ++k) order[k] = {index_at(type_, in[0], k, size_), k};
    std::sort(order, order + count_);
    const auto* src = static_cast<const T*>(in[1]);
    auto* y = static_cast<T*>(out[0]);
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, width_));
    parallel_for(count_, grain, [&](int64_t from, int64_t to) {
      for (int64_t g = from; g < to; ++g) {
        if (g > 0 && order[g - 1].first == order[g].first)
          continue;  // whoever has its first does it
        T* sum = y + order[g].second * width_;
        if (y != src) std::copy_n(src + order[g].second * width_, width_, sum);
        int64_t end = g + 1;
        for (; end < count_ && order[end].first == order[g].first; ++end) {
          const T* more = src + order[end].second * width_;
          for (int64_t i = 0; i < width_; ++i) sum[i] += more[i];
        }
        for (int64_t k = g + 1; k < end; ++k)
          std::copy_n(sum, width_, y + order[k].second * width_);
      }
    });
  }

 private:
  using Entry = std::pair<int64_t, int64_t>;  // index, position
  int64_t count_, size_, width_ = 0;
  DType type_;
};

class UpdateRows final : public Kernel {
 public:
  UpdateRows(const Operand& x, const Operand& index)
      : count_(index.numel()), size_(x.shape[0]), type_(index.dtype), bytes_(x.bytes()) {
    row_ = size_ ? bytes_ / static_cast<size_t>(size_) : 0;
  }
  size_t scratch_bytes() const override { return static_cast<size_t>(count_) * sizeof(int64_t); }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* index = static_cast<int64_t*>(scratch);
    for (int64_t k = 0; k < count_; ++k) index[k] = index_at(type_, in[1], k, size_);
    if (out[0] != in[0]) std::memcpy(out[0], in[0], bytes_);
    const auto* rows = static_cast<const char*>(in[2]);
    auto* y = static_cast<char*>(out[0]);
    for (int64_t k = 0; k < count_; ++k)
      std::memcpy(y + static_cast<size_t>(index[k]) * row_, rows + static_cast<size_t>(k) * row_,
                  row_);
  }

 private:
  int64_t count_, size_;
  DType type_;
  size_t bytes_, row_ = 0;
};

std::unique_ptr<Kernel> make_combine_rows(Operands in, Operands out, int64_t size) {
  if (is_half(in[1].dtype))
    return in_f32(in, out, [=](Operands i, Operands o) { return make_combine_rows(i, o, size); });
  return for_float(in[1].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<CombineRows<decltype(zero)>>(in[0], in[1], size);
  });
}

}  // namespace

KERNEL(combine_rows) {
  return q.all_contiguous() ? make_combine_rows(q.in, q.out, q.integer("size")) : nullptr;
}

KERNEL(update_rows) {
  return q.all_contiguous() ? std::make_unique<UpdateRows>(q.in[0], q.in[1]) : nullptr;
}

}  // namespace nacre::cpu
