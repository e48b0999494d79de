// concat, pad, flip, roll, contiguous: kernels that only move bytes.
#include <algorithm>
#include <cstring>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

// out[i0, i1, ...] = x[map0[i0], map1[i1], ...], or the fill value where a map says -1.
class Remap final : public Kernel {
 public:
  using Map = std::vector<int64_t>;
  Remap(const Operand& x, std::vector<Map> maps, bool has_fill)
      : element_(size_of(x.dtype)), has_fill_(has_fill) {
    // Trailing dimensions that stay as they are make up one block of bytes.
    block_ = static_cast<int64_t>(element_);
    int64_t rank = x.shape.rank();
    const auto identity = [&](int64_t d) {
      const Map& m = maps[static_cast<size_t>(d)];
      if (static_cast<int64_t>(m.size()) != x.shape[d]) return false;
      for (size_t i = 0; i < m.size(); ++i)
        if (m[i] != static_cast<int64_t>(i)) return false;
      return true;
    };
    while (rank > 0 && identity(rank - 1)) block_ *= x.shape[--rank];
    maps.resize(static_cast<size_t>(rank));
    int64_t stride = block_;
    strides_ = Shape(static_cast<size_t>(rank), 0);
    for (int64_t d = rank; d-- > 0; stride *= x.shape[d]) strides_[d] = stride;
    rows_ = 1;
    for (int64_t d = 0; d + 1 < rank; ++d)
      rows_ *= static_cast<int64_t>(maps[static_cast<size_t>(d)].size());
    width_ = rank ? static_cast<int64_t>(maps.back().size()) : 1;
    if (rank) {
      // The last of the other dimensions as runs of equal step.
      const Map& last = maps.back();
      for (size_t i = 0; i < last.size();) {
        Run run{static_cast<int64_t>(i), last[i], 1, 1};
        if (i + 1 < last.size()) run.step = last[i] < 0 ? 0 : last[i + 1] - last[i];
        if (run.step < -1 || run.step > 1 || (last[i] >= 0 && run.step == 0)) run.step = 1;
        while (i + static_cast<size_t>(run.length) < last.size() &&
               last[i + static_cast<size_t>(run.length)] == run.from + run.step * run.length &&
               (run.from < 0 || last[i + static_cast<size_t>(run.length)] >= 0))
          ++run.length;
        i += static_cast<size_t>(run.length);
        runs_.push_back(run);
      }
      maps.pop_back();
    } else {
      runs_.push_back({0, 0, 1, 1});
    }
    maps_ = std::move(maps);
  }
  std::string description() const override { return "bytes"; }

  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const char*>(in[0]);
    auto* y = static_cast<char*>(out[0]);
    const void* fill = has_fill_ ? in[1] : nullptr;
    const int64_t bytes = width_ * block_;
    if (rows_ * bytes == 0) return;
    parallel_for(rows_, std::max<int64_t>(1, kCopyGrain / bytes), [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) row(x, y + r * bytes, r, fill);
    });
  }

 private:
  struct Run {
    int64_t to, from, length, step;  // from -1: fill
  };

  void row(const char* x, char* to, int64_t r, const void* fill) const {
    int64_t source = 0;
    bool outside = false;
    for (size_t d = maps_.size(); d-- > 0;) {
      const auto size = static_cast<int64_t>(maps_[d].size());
      const int64_t at = maps_[d][static_cast<size_t>(r % size)];
      r /= size;
      outside = outside || at < 0;
      source += at * strides_[static_cast<int64_t>(d)];
    }
    if (outside) return fill_bytes(to, width_ * block_, fill);
    for (const Run& run : runs_) {
      char* target = to + run.to * block_;
      if (run.from < 0) {
        fill_bytes(target, run.length * block_, fill);
        continue;
      }
      const char* from = x + source + run.from * block_;
      if (run.step == 1)
        std::memcpy(target, from, static_cast<size_t>(run.length * block_));
      else if (block_ == 4)
        reverse<uint32_t>(target, from, run.length);
      else if (block_ == 8)
        reverse<uint64_t>(target, from, run.length);
      else
        for (int64_t i = 0; i < run.length; ++i)
          std::memcpy(target + i * block_, from - i * block_, static_cast<size_t>(block_));
    }
  }
  template <typename T>
  static void reverse(char* to, const char* from, int64_t n) {
    auto* t = reinterpret_cast<T*>(to);
    const auto* f = reinterpret_cast<const T*>(from);
    for (int64_t i = 0; i < n; ++i) t[i] = f[-i];
  }
  void fill_bytes(char* to, int64_t bytes, const void* value) const {
    const auto n = static_cast<size_t>(bytes);
    if (!value) {
      std::memset(to, 0, n);
      return;
    }
    for (size_t i = 0; i < n; i += element_) std::memcpy(to + i, value, element_);
  }

  size_t element_;
  bool has_fill_;
  int64_t block_ = 0, rows_ = 1, width_ = 1;
  std::vector<Map> maps_;
  std::vector<Run> runs_;
  Shape strides_;  // in bytes
};

class Concat final : public Kernel {
 public:
  Concat(Operands in, int64_t dim) {
    const auto element = static_cast<int64_t>(size_of(in[0].dtype));
    for (int64_t d = 0; d < dim; ++d) outer_ *= in[0].shape[d];
    for (size_t i = 0; i < in.size(); ++i) {
      const int64_t bytes = outer_ ? in[i].numel() / outer_ * element : 0;
      for (int64_t at = 0; at < bytes; at += kCopyGrain)
        pieces_.push_back({i, bytes, at, row_ + at, std::min(kCopyGrain, bytes - at)});
      row_ += bytes;
    }
  }
  std::string description() const override { return "bytes"; }
  void run(const void* const* in, void* const* out, void*) const override {
    auto* y = static_cast<char*>(out[0]);
    const auto count = static_cast<int64_t>(pieces_.size());
    const int64_t grain =
        count ? std::max<int64_t>(1, kCopyGrain * count / std::max<int64_t>(1, row_)) : 1;
    parallel_for(outer_ * count, grain, [&](int64_t b, int64_t e) {
      for (int64_t u = b; u < e; ++u) {
        const Piece& p = pieces_[static_cast<size_t>(u % count)];
        const int64_t o = u / count;
        std::memcpy(y + o * row_ + p.to, static_cast<const char*>(in[p.input]) + o * p.row + p.from,
                    static_cast<size_t>(p.bytes));
      }
    });
  }

 private:
  // Part of a row of one input.
  struct Piece {
    size_t input;
    int64_t row, from, to, bytes;
  };
  std::vector<Piece> pieces_;
  int64_t outer_ = 1, row_ = 0;
};

class Contiguous final : public Kernel {
 public:
  explicit Contiguous(const Operand& x) : x_(x) {}
  std::string description() const override { return "copy"; }
  void run(const void* const* in, void* const* out, void*) const override {
    copy_dense(x_.shape, x_.strides, size_of(x_.dtype), in[0], out[0]);
  }

 private:
  Operand x_;
};

// Where entry i of a padded dimension comes from.
int64_t padded(int64_t i, int64_t size, const std::string& mode) {
  if (i >= 0 && i < size) return i;
  if (mode == "constant" || size == 0) return -1;
  if (mode == "replicate") return i < 0 ? 0 : size - 1;
  const int64_t period = mode == "circular" ? size : std::max<int64_t>(1, 2 * (size - 1));
  const int64_t at = (i % period + period) % period;
  return at < size ? at : period - at;
}

std::vector<Remap::Map> identity_maps(const Shape& shape) {
  std::vector<Remap::Map> maps(shape.size());
  for (size_t d = 0; d < maps.size(); ++d)
    for (int64_t i = 0; i < shape[static_cast<int64_t>(d)]; ++i) maps[d].push_back(i);
  return maps;
}

}  // namespace

std::unique_ptr<Kernel> make_concat(Operands in, Operands out, int64_t dim) {
  for (const auto& o : in)
    if (o.dtype != out[0].dtype || o.shape.rank() != out[0].shape.rank()) return nullptr;
  if (in.empty() || out[0].shape.empty()) return nullptr;
  return std::make_unique<Concat>(in, dim);
}

std::unique_ptr<Kernel> make_pad(Operands in, Operands out, const Ints& low,
                                 const std::string& mode) {
  const bool fill = mode == "constant" && in.size() > 1;
  if (fill && in[1].dtype != in[0].dtype) return nullptr;
  std::vector<Remap::Map> maps(in[0].shape.size());
  for (size_t d = 0; d < maps.size(); ++d) {
    const auto at = static_cast<int64_t>(d);
    for (int64_t i = 0; i < out[0].shape[at]; ++i)
      maps[d].push_back(padded(i - low[at], in[0].shape[at], mode));
  }
  return std::make_unique<Remap>(in[0], std::move(maps), fill);
}

std::unique_ptr<Kernel> make_flip(Operands in, Operands, const Ints& dims) {
  auto maps = identity_maps(in[0].shape);
  for (int64_t d : dims)
    std::reverse(maps[static_cast<size_t>(d)].begin(), maps[static_cast<size_t>(d)].end());
  return std::make_unique<Remap>(in[0], std::move(maps), false);
}

std::unique_ptr<Kernel> make_roll(Operands in, Operands, const Ints& shifts, const Ints& dims) {
  auto maps = identity_maps(in[0].shape);
  for (int64_t i = 0; i < dims.rank(); ++i) {
    auto& map = maps[static_cast<size_t>(dims[i])];
    const auto size = static_cast<int64_t>(map.size());
    if (size == 0) continue;
    const int64_t shift = (shifts[i] % size + size) % size;
    std::rotate(map.begin(), map.end() - shift, map.end());
  }
  return std::make_unique<Remap>(in[0], std::move(maps), false);
}

std::unique_ptr<Kernel> make_contiguous(Operands in, Operands out) {
  if (in[0].dtype != out[0].dtype) return nullptr;
  return std::make_unique<Contiguous>(in[0]);
}

KERNEL(concat) { return q.all_contiguous() ? make_concat(q.in, q.out, q.integer("dim")) : nullptr; }

KERNEL(pad) {
  return q.all_contiguous() ? make_pad(q.in, q.out, q.ints("low"), q.text("mode")) : nullptr;
}

KERNEL(flip) { return q.all_contiguous() ? make_flip(q.in, q.out, q.ints("dims")) : nullptr; }

KERNEL(roll) {
  if (!q.all_contiguous()) return nullptr;
  return make_roll(q.in, q.out, q.ints("shifts"), q.ints("dims"));
}

KERNEL(contiguous) { return make_contiguous(q.in, q.out); }

}  // namespace nacre::cpu
