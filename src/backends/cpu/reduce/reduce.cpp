#include "backends/cpu/reduce/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "backends/cpu/elementwise/loops.h"
#include "backends/cpu/simd/convert.h"
#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/simd/strided.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kChunk = 1024;     // elements converted at a time
constexpr int64_t kColumns = 512;    // columns reduced together
constexpr int64_t kPiece = 1 << 16;  // elements of a piece of one long reduction
constexpr int64_t kMaxPieces = 64;
constexpr int64_t kGrain = 1 << 14;  // elements per thread at least

struct Dim {
  int64_t size, in_stride, out_stride;
  bool reduced;
};

/// Dimensions from the widest stride to the narrowest, merged where memory allows.
std::vector<Dim> arrange(const Operand& in, const Ints& dims) {
  std::vector<bool> reduced(in.shape.size(), false);
  for (int64_t d : dims) reduced[static_cast<size_t>(d)] = true;
  std::vector<Dim> list;
  int64_t out_stride = 1;
  for (int64_t i = in.shape.rank() - 1; i >= 0; --i) {
    const bool r = reduced[static_cast<size_t>(i)];
    if (in.shape[i] != 1) list.push_back({in.shape[i], in.strides[i], r ? 0 : out_stride, r});
    if (!r) out_stride *= std::max<int64_t>(1, in.shape[i]);
  }
  std::reverse(list.begin(), list.end());
  const auto width = [](const Dim& d) {  // repeated dimensions go outermost
    return d.in_stride == 0 ? std::numeric_limits<int64_t>::max() : std::abs(d.in_stride);
  };
  std::stable_sort(list.begin(), list.end(),
                   [&](const Dim& a, const Dim& b) { return width(a) > width(b); });
  std::vector<Dim> merged;
  for (const Dim& d : list) {
    if (!merged.empty()) {
      Dim& last = merged.back();
      if (last.reduced == d.reduced && last.in_stride == d.in_stride * d.size &&
          last.out_stride == d.out_stride * d.size) {
        last = {last.size * d.size, d.in_stride, d.out_stride, d.reduced};
        continue;
      }
    }
    merged.push_back(d);
  }
  if (merged.empty()) merged.push_back({1, 1, 1, false});
  return merged;
}

int64_t product(const std::vector<Dim>& dims) {
  int64_t n = 1;
  for (const Dim& d : dims) n *= d.size;
  return n;
}

/// Offsets in the input and the output of entry `index` of the dims.
std::pair<int64_t, int64_t> offsets(const std::vector<Dim>& dims, int64_t index) {
  int64_t in = 0, out = 0;
  for (size_t i = dims.size(); i-- > 0;) {
    const int64_t c = index % dims[i].size;
    index /= dims[i].size;
    in += c * dims[i].in_stride;
    out += c * dims[i].out_stride;
  }
  return {in, out};
}

/// W is the type that is computed with: float, double or int64_t.
template <class W>
class ReduceKernel final : public Kernel {
 public:
  using A = std::conditional_t<std::is_same_v<W, int64_t>, int64_t, double>;  // accumulates

  ReduceKernel(Reduce kind, const Operand& in, const Operand& out, const Ints& dims)
      : kind_(kind), in_type_(in.dtype), out_type_(out.dtype), outputs_(out.numel()) {
    reduced_count_ = 1;
    for (int64_t d : dims) reduced_count_ *= in.shape[d];
    std::vector<Dim> list = arrange(in, dims);
    inner_ = list.back();
    list.pop_back();
    for (const Dim& d : list) (d.reduced ? reduced_ : kept_).push_back(d);
    kept_count_ = product(kept_);
    width_ = inner_.reduced ? 1 : std::min(inner_.size, kColumns);
    tiles_ = inner_.reduced ? 1 : (inner_.size + kColumns - 1) / kColumns;
    units_ = kept_count_ * tiles_;
    length_ = product(reduced_) * (inner_.reduced ? inner_.size : 1);
    const int64_t work = length_ * width_;
    pieces_ = units_ >= 32
                  ? 1
                  : std::clamp<int64_t>(work / kPiece, 1,
                                        std::min(kMaxPieces, std::max<int64_t>(1, length_)));
    direct_ = inner_.in_stride == 1 && !truth() &&
              in_type_ == (std::is_same_v<W, int64_t> ? DType::i64
                           : std::is_same_v<W, float> ? DType::f32
                                                      : DType::f64);
  }

  size_t scratch_bytes() const override {
    return pieces_ == 1 ? 0 : static_cast<size_t>(units_ * pieces_ * width_) * sizeof(A);
  }
  std::string description() const override { return "simd"; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    if (outputs_ == 0) return;
    const char* x = static_cast<const char*>(in[0]);
    A* partial = static_cast<A*>(scratch);
    const int64_t jobs = units_ * pieces_;
    const int64_t cost = std::max<int64_t>(1, length_ * width_ / pieces_);
    parallel_for(jobs, std::max<int64_t>(1, kGrain / cost), [&](int64_t from, int64_t to) {
      A acc[kColumns];
      for (int64_t job = from; job < to; ++job) {
        const int64_t unit = job / pieces_, piece = job % pieces_;
        A* a = pieces_ == 1 ? acc : partial + job * width_;
        reduce(x, unit, length_ * piece / pieces_, length_ * (piece + 1) / pieces_, a);
        if (pieces_ == 1) finish(unit, a, out[0]);
      }
    });
    if (pieces_ == 1) return;
    for (int64_t unit = 0; unit < units_; ++unit) {
      A* a = partial + unit * pieces_ * width_;
      for (int64_t piece = 1; piece < pieces_; ++piece)
        for (int64_t c = 0; c < width_; ++c) a[c] = combine(a[c], a[piece * width_ + c]);
      finish(unit, a, out[0]);
    }
  }

 private:
  bool truth() const { return kind_ == Reduce::any || kind_ == Reduce::all; }
  bool largest() const { return kind_ == Reduce::amax || kind_ == Reduce::any; }
  bool adds() const { return kind_ == Reduce::sum || kind_ == Reduce::mean; }

  A neutral() const {
    if (adds()) return 0;
    if (kind_ == Reduce::prod || kind_ == Reduce::all) return 1;
    if (kind_ == Reduce::any) return 0;
    if constexpr (std::is_same_v<A, double>)
      return largest() ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
    else
      return largest() ? std::numeric_limits<A>::min() : std::numeric_limits<A>::max();
  }

  static A wrapping_add(A a, A b) {
    if constexpr (std::is_same_v<A, int64_t>)
      return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    else
      return a + b;
  }
  static A wrapping_mul(A a, A b) {
    if constexpr (std::is_same_v<A, int64_t>)
      return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    else
      return a * b;
  }

  A combine(A a, A b) const {
    if (adds()) return wrapping_add(a, b);
    if (kind_ == Reduce::prod) return wrapping_mul(a, b);
    if (a != a || b != b) return a != a ? a : b;
    return largest() ? std::max(a, b) : std::min(a, b);
  }

  A of_row(const W* x, int64_t n) const {
    if constexpr (!std::is_same_v<W, int64_t>) {
      const RowLoops<W>& loops = row_loops<W>();
      if (adds()) return loops.sum(x, n);
      if (kind_ == Reduce::amax) return loops.max(x, n);
      if (kind_ == Reduce::amin) return loops.min(x, n);
      A lanes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
      int64_t i = 0;
      for (; i + 8 <= n; i += 8)
        for (int64_t j = 0; j < 8; ++j) lanes[j] *= static_cast<A>(x[i + j]);
      for (; i < n; ++i) lanes[0] *= static_cast<A>(x[i]);
      return ((lanes[0] * lanes[1]) * (lanes[2] * lanes[3])) *
             ((lanes[4] * lanes[5]) * (lanes[6] * lanes[7]));
    } else {
      A a = neutral();
      if (adds())
        for (int64_t i = 0; i < n; ++i) a = wrapping_add(a, x[i]);
      else if (kind_ == Reduce::prod)
        for (int64_t i = 0; i < n; ++i) a = wrapping_mul(a, x[i]);
      else if (largest())
        for (int64_t i = 0; i < n; ++i) a = std::max(a, x[i]);
      else
        for (int64_t i = 0; i < n; ++i) a = std::min(a, x[i]);
      return a;
    }
  }

  void of_columns(const W* x, int64_t stride, int64_t rows, int64_t cols, A* acc) const {
    if constexpr (!std::is_same_v<W, int64_t>) {
      const RowLoops<W>& loops = row_loops<W>();
      if (adds()) return loops.column_sum(x, stride, rows, cols, acc);
      if (kind_ == Reduce::amax) return loops.column_max(x, stride, rows, cols, acc);
      if (kind_ == Reduce::amin) return loops.column_min(x, stride, rows, cols, acc);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const W* row = x + r * stride;
      if (adds())
        for (int64_t c = 0; c < cols; ++c) acc[c] = wrapping_add(acc[c], static_cast<A>(row[c]));
      else if (kind_ == Reduce::prod)
        for (int64_t c = 0; c < cols; ++c) acc[c] = wrapping_mul(acc[c], static_cast<A>(row[c]));
      else if (largest())
        for (int64_t c = 0; c < cols; ++c) acc[c] = std::max(acc[c], static_cast<A>(row[c]));
      else
        for (int64_t c = 0; c < cols; ++c) acc[c] = std::min(acc[c], static_cast<A>(row[c]));
    }
  }

  /// n <= kChunk elements from offset on, `stride` apart, as W in `buffer`.
  void convert(const char* x, int64_t offset, int64_t n, W* buffer) const {
    const size_t size = size_of(in_type_);
    const char* from = x + offset * static_cast<int64_t>(size);
    alignas(64) char raw[kChunk * 8];
    if (inner_.in_stride != 1) {
      gather({Shape{n}, Shape{inner_.in_stride}}, size, from, 0, n, raw);
      from = raw;
    }
    alignas(64) float wide[kChunk];
    if (in_type_ == DType::bf16 || in_type_ == DType::f16) {
      widen16(in_type_, reinterpret_cast<const uint16_t*>(from), wide, n);
      from = reinterpret_cast<const char*>(wide);
    }
    DType t = in_type_;
    uint8_t truths[kChunk];
    if (truth()) {
      cast_loop(t, DType::boolean, from, truths, n);
      from = reinterpret_cast<const char*>(truths);
      t = DType::boolean;
    }
    const DType to = std::is_same_v<W, int64_t> ? DType::i64
                     : std::is_same_v<W, float> ? DType::f32
                                                : DType::f64;
    cast_loop(t, to, from, buffer, n);
  }

  /// Elements or rows [from, to) of one unit.
  void reduce(const char* x, int64_t unit, int64_t from, int64_t to, A* acc) const {
    const int64_t base = offsets(kept_, unit / tiles_).first;
    const W* data = reinterpret_cast<const W*>(x);
    W buffer[kChunk];
    if (inner_.reduced) {
      A a = neutral();
      const int64_t n0 = inner_.size;
      for (int64_t e = from; e < to;) {
        const int64_t row = e / n0, at = e % n0;
        int64_t n = std::min(to - e, n0 - at);
        if (!direct_) n = std::min(n, kChunk);
        const int64_t offset = base + offsets(reduced_, row).first + at * inner_.in_stride;
        if (direct_) {
          a = combine(a, of_row(data + offset, n));
        } else {
          convert(x, offset, n, buffer);
          a = combine(a, of_row(buffer, n));
        }
        e += n;
      }
      acc[0] = a;
      return;
    }
    const int64_t first = unit % tiles_ * kColumns, cols = std::min(kColumns, inner_.size - first);
    std::fill_n(acc, width_, neutral());
    const int64_t block = reduced_.empty() ? 1 : reduced_.back().size;
    const int64_t stride = reduced_.empty() ? 0 : reduced_.back().in_stride;
    for (int64_t r = from; r < to;) {
      const int64_t rows = direct_ ? std::min(to - r, block - r % block) : 1;
      const int64_t offset =
          base + (reduced_.empty() ? 0 : offsets(reduced_, r).first) + first * inner_.in_stride;
      if (direct_) {
        of_columns(data + offset, stride, rows, cols, acc);
      } else {
        convert(x, offset, cols, buffer);
        of_columns(buffer, 0, 1, cols, acc);
      }
      r += rows;
    }
  }

  void finish(int64_t unit, const A* acc, void* out) const {
    const int64_t first = inner_.reduced ? 0 : unit % tiles_ * kColumns;
    const int64_t cols = inner_.reduced ? 1 : std::min(kColumns, inner_.size - first);
    const int64_t base = offsets(kept_, unit / tiles_).second + first * inner_.out_stride;
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t i = base + c * inner_.out_stride;
      A a = acc[c];
      if (kind_ == Reduce::mean) a = a / static_cast<A>(reduced_count_);
      switch (out_type_) {
        case DType::f32:
          static_cast<float*>(out)[i] = static_cast<float>(a);
          break;
        case DType::f64:
          static_cast<double*>(out)[i] = static_cast<double>(a);
          break;
        case DType::bf16:
          static_cast<uint16_t*>(out)[i] = f32_to_bf16(static_cast<float>(a));
          break;
        case DType::f16:
          static_cast<uint16_t*>(out)[i] = f32_to_f16(static_cast<float>(a));
          break;
        case DType::i64:
          static_cast<int64_t*>(out)[i] = static_cast<int64_t>(a);
          break;
        case DType::i32:
          static_cast<int32_t*>(out)[i] = static_cast<int32_t>(a);
          break;
        case DType::i8:
        case DType::u8:
          static_cast<uint8_t*>(out)[i] = static_cast<uint8_t>(static_cast<int64_t>(a));
          break;
        case DType::boolean:
          static_cast<uint8_t*>(out)[i] = a != 0;
          break;
      }
    }
  }

  Reduce kind_;
  DType in_type_, out_type_;
  int64_t outputs_, reduced_count_;
  Dim inner_;
  std::vector<Dim> kept_, reduced_;
  int64_t kept_count_, width_, tiles_, units_, length_, pieces_;
  bool direct_;
};

}  // namespace

std::unique_ptr<Kernel> make_reduce(Reduce kind, const Operand& in, const Operand& out,
                                    const Ints& dims) {
  const bool truth = kind == Reduce::any || kind == Reduce::all;
  if (truth != (out.dtype == DType::boolean) &&
      !(out.dtype == DType::boolean && (kind == Reduce::amax || kind == Reduce::amin)))
    return nullptr;
  if (!truth && is_float(in.dtype) != is_float(out.dtype)) return nullptr;
  if (kind == Reduce::mean && !is_float(in.dtype)) return nullptr;
  if (truth || !is_float(in.dtype))
    return std::make_unique<ReduceKernel<int64_t>>(kind, in, out, dims);
  if (in.dtype == DType::f64) return std::make_unique<ReduceKernel<double>>(kind, in, out, dims);
  return std::make_unique<ReduceKernel<float>>(kind, in, out, dims);
}

}  // namespace nacre::cpu
