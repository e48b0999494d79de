// edge_sum: the edges are put in the order of the rows that they lead to, so that one thread makes
// a row, in registers. Rows are added in the order of the edges, whatever the number of threads.
#include <algorithm>
#include <limits>
#include <span>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kEdgesOfAPart = 1 << 14;
constexpr int64_t kMostParts = 16;
constexpr int64_t kWork = 1 << 14;  // elements added by a thread, at least

/// An index of i64 or i32, counted from the front.
struct Index {
  DType type;
  int64_t size;
  const char* op;  // that people wrote

  int32_t at(const void* index, int64_t k) const {
    const int64_t v = type == DType::i64 ? static_cast<const int64_t*>(index)[k]
                                         : static_cast<const int32_t*>(index)[k];
    const int64_t i = v < 0 ? v + size : v;
    if (i < 0 || i >= size)
      fail(Error::Kind::data, {"[", op, "] index ", v, " at position ", k,
                               " is out of range for dimension 0 of size ", size});
    return static_cast<int32_t>(i);
  }
};

template <typename T>
class EdgeSum final : public Kernel {
 public:
  explicit EdgeSum(Operands in)
      : rows_(in[0].shape[0]),
        width_(Axis(in[0].shape, 0).inner),
        edges_(in[2].numel()),
        weighted_(in.size() == 5),
        even_(!in[0].contiguous()),
        to_{in[2].dtype, rows_, "index_add"},
        from_{in[3].dtype, in[1].shape[0], "index_select"} {
    parts_ = std::clamp<int64_t>(edges_ / std::max(kEdgesOfAPart, rows_), 1, kMostParts);
  }
  size_t scratch_bytes() const override {
    return weights_at() + (weighted_ ? bytes<T>(edges_) : 0);
  }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  std::string description() const override { return "simd"; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* base = static_cast<char*>(scratch);
    auto* ends = reinterpret_cast<int32_t*>(base);
    auto* from = reinterpret_cast<int32_t*>(base + sources_at());
    auto* weight = weighted_ ? reinterpret_cast<T*>(base + weights_at()) : nullptr;
    sort(in, ends, from, weight);

    // After sorting, the last part's ends are those of the rows.
    const int32_t* end = ends + (parts_ - 1) * rows_;
    const auto begin_of = [&](int64_t r) { return r == 0 ? 0 : int64_t{end[r - 1]}; };
    const auto* x = static_cast<const T*>(in[1]);
    const auto* start = static_cast<const T*>(in[0]);
    auto* y = static_cast<T*>(out[0]);
    const auto& loops = row_loops<T>();
    const auto first_from = [&](int64_t place) {  // the first row at this place or after it
      int64_t low = 0, high = rows_;
      while (low < high) {
        const int64_t r = (low + high) / 2;
        r + begin_of(r) < place ? low = r + 1 : high = r;
      }
      return low;
    };
    // A row counts as one edge more than lead to it.
    parallel_for(rows_ + edges_, std::max<int64_t>(1, kWork / std::max<int64_t>(1, width_)),
                 [&](int64_t b, int64_t e) {
                   const int64_t last = first_from(e);
                   for (int64_t r = first_from(b); r < last; ++r) {
                     const int64_t k = begin_of(r);
                     T* to = y + r * width_;
                     const T* at = even_ ? start[0] != T(0) ? to : nullptr : start + r * width_;
                     if (even_ && at) std::fill_n(to, width_, start[0]);
                     loops.gather_sum(at, x, from + k, weight ? weight + k : nullptr, end[r] - k,
                                      edges_ - k, width_, to);
                   }
                 });
  }

 private:
  template <typename E>
  static size_t bytes(int64_t n) {
    return align64(static_cast<size_t>(n) * sizeof(E));
  }
  size_t sources_at() const { return bytes<int32_t>(parts_ * rows_); }
  size_t weights_at() const { return sources_at() + bytes<int32_t>(edges_); }

  /// Counts, then places: each part of the edges has its own places in each row.
  void sort(const void* const* in, int32_t* ends, int32_t* from, T* weight) const {
    const auto each_part = [&](auto work) {
      parallel_for(parts_, 1, [&](int64_t b, int64_t e) {
        for (int64_t p = b; p < e; ++p)
          work(ends + p * rows_, edges_ * p / parts_, edges_ * (p + 1) / parts_);
      });
    };
    each_part([&](int32_t* count, int64_t first, int64_t last) {
      std::fill_n(count, rows_, 0);
      for (int64_t k = first; k < last; ++k) ++count[to_.at(in[2], k)];
    });
    int32_t place = 0;
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t p = 0; p < parts_; ++p) {
        const int32_t count = ends[p * rows_ + r];
        ends[p * rows_ + r] = place;
        place += count;
      }
    each_part([&](int32_t* next, int64_t first, int64_t last) {
      for (int64_t k = first; k < last; ++k) {
        const int32_t at = next[to_.at(in[2], k)]++;
        from[at] = from_.at(in[3], k);
        if (weight) weight[at] = static_cast<const T*>(in[4])[k];
      }
    });
  }

  int64_t rows_, width_, edges_, parts_ = 1;
  bool weighted_, even_;  // even: the base is one number
  Index to_, from_;
};

}  // namespace

std::unique_ptr<Kernel> make_edge_sum(Operands in) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (in[2].numel() > kMost || in[0].shape[0] > kMost || in[1].shape[0] > kMost) return nullptr;
  bool even = in[0].numel() > 0;
  for (int64_t d = 0; d < in[0].shape.rank(); ++d)
    even = even && (in[0].shape[d] == 1 || in[0].strides[d] == 0);
  if (!even && !in[0].contiguous()) return nullptr;
  for (const Operand& o : in.subspan(1))
    if (!o.contiguous()) return nullptr;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<EdgeSum<decltype(zero)>>(in);
  });
}

KERNEL(edge_sum) { return make_edge_sum(q.in); }

}  // namespace nacre::cpu
