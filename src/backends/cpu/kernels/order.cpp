// sort, topk, argmax, argmin: values become unsigned keys whose order is the wanted one.
// searchsorted: bisection.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

template <size_t Bytes>
struct unsigned_of;
template <>
struct unsigned_of<1> {
  using type = uint8_t;
};
template <>
struct unsigned_of<4> {
  using type = uint32_t;
};
template <>
struct unsigned_of<8> {
  using type = uint64_t;
};

// A key that orders as the value does: NaN last, both zeros equal.
template <typename T>
auto key_of(T v, bool descending) {
  using U = typename unsigned_of<sizeof(T)>::type;
  constexpr U top = U{1} << (8 * sizeof(T) - 1);
  U key;
  if constexpr (std::is_floating_point_v<T>) {
    if (v != v) {
      key = std::numeric_limits<U>::max();
    } else {
      const U bits = std::bit_cast<U>(v + T(0));
      key = bits & top ? ~bits : bits | top;
    }
  } else if constexpr (std::is_signed_v<T>) {
    key = static_cast<U>(static_cast<U>(v) ^ top);
  } else {
    key = v;
  }
  return descending ? static_cast<U>(~key) : key;
}

template <typename U>
struct Entry {
  using Index = std::conditional_t<sizeof(U) <= 4, uint32_t, uint64_t>;
  U key;
  Index index;
  bool operator<(const Entry& o) const { return key != o.key ? key < o.key : index < o.index; }
};

// Sorts by key, keeping the order of equal ones; `spare` has room for as many. Returns where the
// result is.
template <typename U>
Entry<U>* sort_entries(Entry<U>* entries, Entry<U>* spare, int64_t n) {
  if (n < 256) {
    std::sort(entries, entries + n);
    return entries;
  }
  for (unsigned shift = 0; shift < 8 * sizeof(U); shift += 8) {
    int64_t count[257] = {};
    for (int64_t i = 0; i < n; ++i) ++count[((entries[i].key >> shift) & 255) + 1];
    if (std::find(count, count + 257, n) != count + 257) continue;
    for (int i = 0; i < 256; ++i) count[i + 1] += count[i];
    for (int64_t i = 0; i < n; ++i) spare[count[(entries[i].key >> shift) & 255]++] = entries[i];
    std::swap(entries, spare);
  }
  return entries;
}

// Rows along a dimension, each worker with scratch of its own.
template <typename T>
class Sort final : public Kernel {
 public:
  using E = Entry<typename unsigned_of<sizeof(T)>::type>;
  Sort(const Axis& a, int64_t k, bool descending)
      : a_(a), k_(k), descending_(descending), workers_(num_threads()) {}
  size_t scratch_bytes() const override { return static_cast<size_t>(workers_) * 2 * row_bytes(); }
  std::string description() const override { return k_ == a_.size ? "radix" : "select"; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* values = static_cast<T*>(out[0]);
    auto* indices = static_cast<int64_t*>(out[1]);
    const int64_t rows = a_.outer * a_.inner;
    if (a_.size == 0 || k_ == 0) return;
    const bool small = rows * a_.size < 4096;
    parallel_for(small ? 1 : workers_, 1, [&](int64_t w0, int64_t w1) {
      const int64_t of = small ? 1 : workers_;
      for (int64_t w = w0; w < w1; ++w) {
        char* mine = static_cast<char*>(scratch) + static_cast<size_t>(w) * 2 * row_bytes();
        auto* entries = reinterpret_cast<E*>(mine);
        auto* spare = reinterpret_cast<E*>(mine + row_bytes());
        for (int64_t r = rows * w / of; r < rows * (w + 1) / of; ++r)
          row(x, values, indices, r, entries, spare);
      }
    });
  }

 private:
  size_t row_bytes() const { return align64(static_cast<size_t>(a_.size) * sizeof(E)); }

  void row(const T* x, T* values, int64_t* indices, int64_t r, E* entries, E* spare) const {
    const int64_t outer = r / a_.inner, inner = r % a_.inner;
    const T* from = x + outer * a_.size * a_.inner + inner;
    for (int64_t i = 0; i < a_.size; ++i)
      entries[i] = {key_of(from[i * a_.inner], descending_), static_cast<typename E::Index>(i)};
    const E* sorted = entries;
    if (k_ < a_.size / 2) {
      std::nth_element(entries, entries + k_, entries + a_.size);
      std::sort(entries, entries + k_);
    } else {
      sorted = sort_entries(entries, spare, a_.size);
    }
    const int64_t to = outer * k_ * a_.inner + inner;
    for (int64_t i = 0; i < k_; ++i) {
      const auto at = static_cast<int64_t>(sorted[i].index);
      values[to + i * a_.inner] = from[at * a_.inner];
      indices[to + i * a_.inner] = at;
    }
  }

  Axis a_;
  int64_t k_;
  bool descending_;
  int64_t workers_;
};

template <typename T>
class Arg final : public Kernel {
 public:
  Arg(const Axis& a, bool largest) : a_(a), largest_(largest) {}
  std::string description() const override { return "scan"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* y = static_cast<int64_t*>(out[0]);
    // A unit is a block of neighbouring columns, scanned together.
    const int64_t blocks = (a_.inner + kBlock - 1) / kBlock;
    const int64_t work = std::max<int64_t>(1, a_.size * std::min(a_.inner, kBlock));
    parallel_for(a_.outer * blocks, std::max<int64_t>(1, (1 << 14) / work),
                 [&](int64_t b, int64_t e) {
                   for (int64_t u = b; u < e; ++u) {
                     const int64_t i0 = u % blocks * kBlock;
                     const int64_t n = std::min(kBlock, a_.inner - i0);
                     const T* from = x + u / blocks * a_.size * a_.inner + i0;
                     int64_t* to = y + u / blocks * a_.inner + i0;
                     largest_ ? scan<true>(from, to, n) : scan<false>(from, to, n);
                   }
                 });
  }

 private:
  static constexpr int64_t kBlock = 64;
  template <bool Largest>
  void scan(const T* x, int64_t* to, int64_t n) const {
    T best[kBlock];
    for (int64_t i = 0; i < n; ++i) best[i] = x[i], to[i] = 0;
    for (int64_t j = 1; j < a_.size; ++j) {
      const T* row = x + j * a_.inner;
      for (int64_t i = 0; i < n; ++i) {
        const T v = row[i];
        const bool take = (Largest ? v > best[i] : v < best[i]) || (v != v && best[i] == best[i]);
        // Once NaN, comparisons with it are false and it stays.
        best[i] = take ? v : best[i];
        to[i] = take ? j : to[i];
      }
    }
  }
  Axis a_;
  bool largest_;
};

std::unique_ptr<Kernel> make_sorted(Operands in, Operands out, int64_t dim, bool descending) {
  if (is_half(in[0].dtype))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_sorted(i, o, dim, descending); });
  const Axis a(in[0].shape, dim);
  if (a.size > std::numeric_limits<int32_t>::max()) return nullptr;
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Sort<decltype(zero)>>(a, out[0].shape[dim], descending);
  });
}

template <typename T>
class SearchSorted final : public Kernel {
 public:
  SearchSorted(const Operand& sorted, const Operand& values, bool right)
      : n_(sorted.shape.back()), count_(values.numel()), right_(right) {
    width_ = sorted.shape.rank() == 1 ? std::max<int64_t>(1, count_) : values.shape.back();
  }
  std::string description() const override { return "bisection"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* values = static_cast<const T*>(in[1]);
    auto* y = static_cast<int64_t*>(out[0]);
    parallel_for(count_, 1 << 10, [&](int64_t b, int64_t e) {
      for (int64_t k = b; k < e; ++k) {
        const T* row = static_cast<const T*>(in[0]) + k / width_ * n_;
        y[k] = (right_ ? std::upper_bound(row, row + n_, values[k])
                       : std::lower_bound(row, row + n_, values[k])) -
               row;
      }
    });
  }

 private:
  int64_t n_, count_, width_;
  bool right_;
};

// A 0-d tensor sorts as one row of one element.
bool lift(std::vector<Operand>& list) {
  bool any = false;
  for (auto& o : list)
    if (o.shape.empty()) o = dense(o.dtype, {1}), any = true;
  return any;
}

}  // namespace

std::unique_ptr<Kernel> make_sort(Operands in, Operands out, int64_t dim, bool descending) {
  std::vector<Operand> i(in.begin(), in.end()), o(out.begin(), out.end());
  if (lift(i) && lift(o)) dim = 0;
  return make_sorted(i, o, dim, descending);
}

std::unique_ptr<Kernel> make_topk(Operands in, Operands out, int64_t dim, bool largest) {
  return make_sort(in, out, dim, largest);
}

std::unique_ptr<Kernel> make_searchsorted(Operands in, Operands out, bool right) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_searchsorted(i, o, right); });
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<SearchSorted<decltype(zero)>>(in[0], in[1], right);
  });
}

std::unique_ptr<Kernel> make_arg(Operands in, Operands out, int64_t dim, bool largest) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_arg(i, o, dim, largest); });
  const Axis a = in[0].shape.empty() ? Axis({1}, 0) : Axis(in[0].shape, dim);
  if (a.size == 0) return nullptr;
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Arg<decltype(zero)>>(a, largest);
  });
}

KERNEL(searchsorted) {
  return q.all_contiguous() ? make_searchsorted(q.in, q.out, q.flag("right")) : nullptr;
}

KERNEL(sort) {
  if (!q.all_contiguous()) return nullptr;
  return make_sort(q.in, q.out, q.integer("dim"), q.flag("descending"));
}

KERNEL(topk) {
  if (!q.all_contiguous()) return nullptr;
  return make_topk(q.in, q.out, q.integer("dim"), q.flag("largest"));
}

KERNEL(argmax) {
  return q.all_contiguous() ? make_arg(q.in, q.out, q.integer("dim"), true) : nullptr;
}

KERNEL(argmin) {
  return q.all_contiguous() ? make_arg(q.in, q.out, q.integer("dim"), false) : nullptr;
}

}  // namespace nacre::cpu
