// index_select, index_add, gather, scatter. Indices are checked and counted from the front before
// anything is written; every sum is made in the order of the indices.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

bool is_index(DType t) { return t == DType::i32 || t == DType::i64; }

[[noreturn]] void out_of_range(const char* op, int64_t index, int64_t position, int64_t dim,
                               int64_t size) {
  fail(Error::Kind::data, {"[", op, "] index ", index, " at position ", position,
                           " is out of range for dimension ", dim, " of size ", size});
}

// The indices as i64 in [0, size).
void resolve(const char* op, DType t, const void* index, int64_t n, int64_t dim, int64_t size,
             int64_t* to) {
  const auto each = [&](auto* from) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t v = from[i], at = v < 0 ? v + size : v;
      if (at < 0 || at >= size) out_of_range(op, v, i, dim, size);
      to[i] = at;
    }
  };
  t == DType::i64 ? each(static_cast<const int64_t*>(index))
                  : each(static_cast<const int32_t*>(index));
}

// Shares work out among threads: by outer rows if there are enough, else by ranges of the target
// dimension, for which every thread walks all indices. Either way one thread does all of the work
// for one target, in order. body(outer0, outer1, target0, target1).
template <typename F>
void share(int64_t outer, int64_t targets, int64_t work, F body) {
  if (work < (1 << 15)) return body(int64_t{0}, outer, int64_t{0}, targets);
  if (outer >= num_threads())
    parallel_for(outer, 1, [&](int64_t b, int64_t e) { body(b, e, int64_t{0}, targets); });
  else
    parallel_for(targets, 1, [&](int64_t b, int64_t e) { body(int64_t{0}, outer, b, e); });
}

class IndexSelect final : public Kernel {
 public:
  IndexSelect(const Operand& x, const Operand& index, int64_t dim)
      : a_(x.shape, dim),
        dim_(dim),
        count_(index.numel()),
        type_(index.dtype),
        row_(static_cast<size_t>(a_.inner) * size_of(x.dtype)) {}
  size_t scratch_bytes() const override { return static_cast<size_t>(count_) * sizeof(int64_t); }
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* index = static_cast<int64_t*>(scratch);
    if (a_.outer * a_.inner == 0) return;
    resolve("index_select", type_, in[1], count_, dim_, a_.size, index);
    const auto* x = static_cast<const char*>(in[0]);
    auto* y = static_cast<char*>(out[0]);
    const auto grain =
        static_cast<int64_t>(std::max<size_t>(1, (1 << 16) / std::max<size_t>(1, row_)));
    parallel_for(a_.outer * count_, grain, [&](int64_t b, int64_t e) {
      const auto rows = [&](auto copy) {
        for (int64_t i = b; i < e; ++i) {
          const int64_t from = i / count_ * a_.size + index[i % count_];
          copy(y + static_cast<size_t>(i) * row_, x + static_cast<size_t>(from) * row_);
        }
      };
      if (row_ == 4)
        rows([](char* to, const char* from) { std::memcpy(to, from, 4); });
      else if (row_ == 8)
        rows([](char* to, const char* from) { std::memcpy(to, from, 8); });
      else
        rows([this](char* to, const char* from) { std::memcpy(to, from, row_); });
    });
  }

 private:
  Axis a_;
  int64_t dim_, count_;
  DType type_;
  size_t row_;
};

template <typename T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a + b;
  else
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

template <typename T>
class IndexAdd final : public Kernel {
 public:
  IndexAdd(const Operand& x, const Operand& index, int64_t dim)
      : a_(x.shape, dim), bytes_(x.bytes()), dim_(dim), count_(index.numel()), type_(index.dtype) {}
  size_t scratch_bytes() const override { return static_cast<size_t>(count_) * sizeof(int64_t); }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* index = static_cast<int64_t*>(scratch);
    resolve("index_add", type_, in[1], count_, dim_, a_.size, index);
    if (out[0] != in[0]) std::memcpy(out[0], in[0], bytes_);
    const auto* src = static_cast<const T*>(in[2]);
    auto* y = static_cast<T*>(out[0]);
    share(a_.outer, a_.size, a_.outer * count_ * a_.inner,
          [&](int64_t o0, int64_t o1, int64_t t0, int64_t t1) {
            for (int64_t o = o0; o < o1; ++o)
              for (int64_t j = 0; j < count_; ++j) {
                if (index[j] < t0 || index[j] >= t1) continue;
                T* to = y + (o * a_.size + index[j]) * a_.inner;
                const T* from = src + (o * count_ + j) * a_.inner;
                for (int64_t i = 0; i < a_.inner; ++i) to[i] = wrapping_add(to[i], from[i]);
              }
          });
  }

 private:
  Axis a_;
  size_t bytes_;
  int64_t dim_, count_;
  DType type_;
};

// Walks an index tensor in row-major order: calls row(at, tensor offset, source offset) once for
// each row along the last dimension, the offsets being those of its first element in a tensor whose
// `dim` is to be indexed and in a tensor of at least the index's shape.
class IndexWalk {
 public:
  IndexWalk(const Shape& tensor, const Shape& index, const Shape& source, int64_t dim)
      : index_(index), dim_(dim), size_(tensor[dim]) {
    tensor_ = contiguous_strides(tensor);
    source_ = contiguous_strides(source);
    step_ = tensor_[dim];
    tensor_[dim] = 0;
    for (int64_t d = 0; d < tensor.rank(); ++d)
      if (tensor[d] == 1 && d != dim) tensor_[d] = 0;
  }
  int64_t dim() const { return dim_; }
  int64_t size() const { return size_; }
  int64_t count() const { return index_.numel(); }
  int64_t width() const { return index_.back(); }
  int64_t rows() const { return width() ? count() / width() : 0; }
  int64_t step() const { return step_; }               // of the indexed dimension
  int64_t tensor_step() const { return tensor_[-1]; }  // along a row, without the index
  // Positions of the dimensions before the indexed one: work on them touches separate targets.
  int64_t outer() const {
    int64_t n = 1;
    for (int64_t d = 0; d < dim_; ++d) n *= index_[d];
    return n;
  }
  template <typename F>
  void each_row(int64_t first, int64_t last, F row) const {
    for (int64_t r = first; r < last; ++r) {
      int64_t rest = r, tensor = 0, source = 0;
      for (int64_t d = index_.rank() - 1; d-- > 0; rest /= index_[d]) {
        tensor += rest % index_[d] * tensor_[d];
        source += rest % index_[d] * source_[d];
      }
      row(r * width(), tensor, source);
    }
  }

 private:
  Shape index_, tensor_, source_;
  int64_t dim_, size_, step_ = 0;
};

template <typename T>
class Gather final : public Kernel {
 public:
  Gather(const Operand& x, const Operand& index, int64_t dim)
      : w_(x.shape, index.shape, index.shape, dim), type_(index.dtype) {}
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* y = static_cast<T*>(out[0]);
    const auto all = [&](const auto* index) {
      const int64_t n = w_.width(), step = w_.step(), along = w_.tensor_step(), size = w_.size();
      const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, n));
      parallel_for(w_.rows(), grain, [&](int64_t b, int64_t e) {
        w_.each_row(b, e, [&](int64_t at, int64_t from, int64_t) {
          for (int64_t j = 0; j < n; ++j) {
            const int64_t v = index[at + j], i = v < 0 ? v + size : v;
            if (i < 0 || i >= size) out_of_range("gather", v, at + j, w_.dim(), size);
            y[at + j] = x[from + j * along + i * step];
          }
        });
      });
    };
    type_ == DType::i64 ? all(static_cast<const int64_t*>(in[1]))
                        : all(static_cast<const int32_t*>(in[1]));
  }

 private:
  IndexWalk w_;
  DType type_;
};

enum class Reduce { set, add, mul, max, min };

template <typename T, Reduce R>
T combine(T a, T b) {
  if constexpr (R == Reduce::set) return b;
  if constexpr (R == Reduce::add) return wrapping_add(a, b);
  if constexpr (R == Reduce::mul) {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
  // NaN wins.
  if constexpr (R == Reduce::max) return b > a || b != b ? b : a;
  if constexpr (R == Reduce::min) return b < a || b != b ? b : a;
}

template <typename T, Reduce R>
class Scatter final : public Kernel {
 public:
  Scatter(const Operand& x, const Operand& index, const Operand& src, int64_t dim)
      : w_(x.shape, index.shape, src.shape, dim), bytes_(x.bytes()), type_(index.dtype) {}
  size_t scratch_bytes() const override {
    return static_cast<size_t>(w_.count()) * sizeof(int64_t);
  }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  std::string description() const override { return "rows"; }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* index = static_cast<int64_t*>(scratch);
    resolve("scatter", type_, in[1], w_.count(), w_.dim(), w_.size(), index);
    if (out[0] != in[0]) std::memcpy(out[0], in[0], bytes_);
    if (w_.count() == 0) return;
    const auto* src = static_cast<const T*>(in[2]);
    auto* y = static_cast<T*>(out[0]);
    const int64_t n = w_.width(), step = w_.step(), along = w_.tensor_step();
    const int64_t outer = w_.outer(), per = w_.rows() / outer;
    share(outer, w_.size(), w_.count(), [&](int64_t o0, int64_t o1, int64_t t0, int64_t t1) {
      w_.each_row(o0 * per, o1 * per, [&](int64_t at, int64_t to, int64_t from) {
        for (int64_t j = 0; j < n; ++j) {
          const int64_t i = index[at + j];
          if (i < t0 || i >= t1) continue;
          T& target = y[to + j * along + i * step];
          target = combine<T, R>(target, src[from + j]);
        }
      });
    });
  }

 private:
  IndexWalk w_;
  size_t bytes_;
  DType type_;
};

// Kernels that only move elements care for their size alone.
template <typename Make>
std::unique_ptr<Kernel> for_size(DType t, Make make) {
  switch (size_of(t)) {
    case 1:
      return make(uint8_t{});
    case 2:
      return make(uint16_t{});
    case 4:
      return make(uint32_t{});
    default:
      return make(uint64_t{});
  }
}

}  // namespace

std::unique_ptr<Kernel> make_index_select(Operands in, Operands out, int64_t dim) {
  if (!is_index(in[1].dtype) || in[0].shape.empty() || out[0].dtype != in[0].dtype) return nullptr;
  return std::make_unique<IndexSelect>(in[0], in[1], dim);
}

std::unique_ptr<Kernel> make_index_add(Operands in, Operands out, int64_t dim) {
  if (!is_index(in[1].dtype) || in[0].shape.empty() || in[2].dtype != in[0].dtype ||
      in[0].dtype == DType::boolean)
    return nullptr;
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_index_add(i, o, dim); });
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<IndexAdd<decltype(zero)>>(in[0], in[1], dim);
  });
}

std::unique_ptr<Kernel> make_gather(Operands in, Operands out, int64_t dim) {
  if (!is_index(in[1].dtype) || in[0].shape.empty() || in[1].shape.rank() != in[0].shape.rank() ||
      out[0].dtype != in[0].dtype)
    return nullptr;
  return for_size(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Gather<decltype(zero)>>(in[0], in[1], dim);
  });
}

std::unique_ptr<Kernel> make_scatter(Operands in, Operands out, int64_t dim,
                                     const std::string& reduce) {
  if (!is_index(in[1].dtype) || in[0].shape.empty() || in[2].dtype != in[0].dtype ||
      in[1].shape.rank() != in[0].shape.rank() || in[2].shape.rank() != in[0].shape.rank())
    return nullptr;
  if (reduce == "set")
    return for_size(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
      return std::make_unique<Scatter<decltype(zero), Reduce::set>>(in[0], in[1], in[2], dim);
    });
  if (in[0].dtype == DType::boolean) return nullptr;
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_scatter(i, o, dim, reduce); });
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    using T = decltype(zero);
    if (reduce == "add") return std::make_unique<Scatter<T, Reduce::add>>(in[0], in[1], in[2], dim);
    if (reduce == "mul") return std::make_unique<Scatter<T, Reduce::mul>>(in[0], in[1], in[2], dim);
    if (reduce == "max") return std::make_unique<Scatter<T, Reduce::max>>(in[0], in[1], in[2], dim);
    if (reduce == "min") return std::make_unique<Scatter<T, Reduce::min>>(in[0], in[1], in[2], dim);
    return nullptr;
  });
}

KERNEL(index_select) {
  return q.all_contiguous() ? make_index_select(q.in, q.out, q.integer("dim")) : nullptr;
}

KERNEL(index_add) {
  return q.all_contiguous() ? make_index_add(q.in, q.out, q.integer("dim")) : nullptr;
}

KERNEL(gather) { return q.all_contiguous() ? make_gather(q.in, q.out, q.integer("dim")) : nullptr; }

KERNEL(scatter) {
  if (!q.all_contiguous()) return nullptr;
  return make_scatter(q.in, q.out, q.integer("dim"), q.text("reduce"));
}

}  // namespace nacre::cpu
