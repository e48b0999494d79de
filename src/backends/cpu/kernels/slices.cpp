// slice_scatter, dynamic_slice, dynamic_update: boxes of bytes copied between tensors.
#include <algorithm>
#include <cstring>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

void copy_bytes(const void* from, void* to, size_t bytes) {
  parallel_for(static_cast<int64_t>(bytes), kCopyGrain, [&](int64_t b, int64_t e) {
    std::memcpy(static_cast<char*>(to) + b, static_cast<const char*>(from) + b,
                static_cast<size_t>(e - b));
  });
}

// Copies `rows` rows of `bytes`, from and to rows that lie this far apart.
void copy_rows(const char* from, int64_t from_step, char* to, int64_t to_step, int64_t rows,
               int64_t bytes) {
  if (bytes == 0) return;
  parallel_for(rows, std::max<int64_t>(1, kCopyGrain / bytes), [&](int64_t b, int64_t e) {
    for (int64_t r = b; r < e; ++r)
      std::memcpy(to + r * to_step, from + r * from_step, static_cast<size_t>(bytes));
  });
}

// x with src written over the box that begins at `starts` and has these steps.
class SliceScatter final : public Kernel {
 public:
  SliceScatter(Operands in, const Ints& starts, const Ints& steps)
      : bytes_(in[0].bytes()), shape_(in[1].shape) {
    const Shape& x = in[0].shape;
    int64_t stride = static_cast<int64_t>(size_of(in[0].dtype)), rank = x.rank();
    // Trailing dimensions that src fills whole make up one block of bytes with the dimension
    // before them, where that is written without gaps.
    while (rank > 0 && shape_[rank - 1] == x[rank - 1]) stride *= x[--rank];
    block_ = stride;
    if (rank > 0 && (steps[rank - 1] == 1 || shape_[rank - 1] == 1)) {
      --rank;
      block_ *= shape_[rank];
      origin_ += starts[rank] * stride;
      stride *= x[rank];
    }
    steps_ = Shape(static_cast<size_t>(rank), 0);
    for (int64_t d = rank; d-- > 0; stride *= x[d]) {
      steps_[d] = stride * steps[d];
      origin_ += stride * starts[d];
    }
    shape_ = shape_.slice(0, rank);
  }
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  std::string description() const override { return "bytes"; }
  void run(const void* const* in, void* const* out, void*) const override {
    if (out[0] != in[0]) copy_bytes(in[0], out[0], bytes_);
    if (block_ == 0) return;
    const auto* src = static_cast<const char*>(in[1]);
    auto* y = static_cast<char*>(out[0]) + origin_;
    parallel_for(shape_.numel(), std::max<int64_t>(1, (1 << 15) / block_),
                 [&](int64_t b, int64_t e) {
                   for (int64_t k = b; k < e; ++k) {
                     int64_t rest = k, at = 0;
                     for (int64_t d = shape_.rank(); d-- > 0; rest /= shape_[d])
                       at += rest % shape_[d] * steps_[d];
                     std::memcpy(y + at, src + k * block_, static_cast<size_t>(block_));
                   }
                 });
  }

 private:
  size_t bytes_;
  Shape shape_, steps_;  // of the blocks; steps in bytes
  int64_t block_ = 0, origin_ = 0;
};

// What a slice at a position of run time shares with an update there.
class Dynamic : public Kernel {
 public:
  Dynamic(const char* op, const Operand& whole, int64_t size, const Operand& start, int64_t dim)
      : op_(op), a_(whole.shape, dim), dim_(dim), size_(size), wide_(start.dtype == DType::i64) {
    a_.inner *= static_cast<int64_t>(size_of(whole.dtype));  // in bytes from here on
  }
  std::string description() const override { return "bytes"; }

 protected:
  int64_t offset(const void* start) const {
    const int64_t at =
        wide_ ? *static_cast<const int64_t*>(start) : *static_cast<const int32_t*>(start);
    if (at < 0 || at > a_.size - size_)
      fail(Error::Kind::data, {"[", op_, "] ", size_, " entries from ", at, " leave dimension ",
                               dim_, " of size ", a_.size});
    return at * a_.inner;
  }
  const char* op_;
  Axis a_;
  int64_t dim_, size_;
  bool wide_;
};

class DynamicSlice final : public Dynamic {
 public:
  using Dynamic::Dynamic;
  void run(const void* const* in, void* const* out, void*) const override {
    copy_rows(static_cast<const char*>(in[0]) + offset(in[1]), a_.size * a_.inner,
              static_cast<char*>(out[0]), size_ * a_.inner, a_.outer, size_ * a_.inner);
  }
};

class DynamicUpdate final : public Dynamic {
 public:
  using Dynamic::Dynamic;
  bool may_alias(int in, int out) const override { return in == 0 && out == 0; }
  void run(const void* const* in, void* const* out, void*) const override {
    const int64_t at = offset(in[2]);
    if (out[0] != in[0])
      copy_bytes(in[0], out[0], static_cast<size_t>(a_.outer * a_.size * a_.inner));
    copy_rows(static_cast<const char*>(in[1]), size_ * a_.inner, static_cast<char*>(out[0]) + at,
              a_.size * a_.inner, a_.outer, size_ * a_.inner);
  }
};

}  // namespace

KERNEL(slice_scatter) {
  if (!q.all_contiguous()) return nullptr;
  return std::make_unique<SliceScatter>(q.in, q.ints("starts"), q.ints("steps"));
}

KERNEL(dynamic_slice) {
  if (!q.all_contiguous()) return nullptr;
  const int64_t dim = q.integer("dim");
  return std::make_unique<DynamicSlice>("dynamic_slice", q.in[0], q.out[0].shape[dim], q.in[1],
                                        dim);
}

KERNEL(dynamic_update) {
  if (!q.all_contiguous()) return nullptr;
  const int64_t dim = q.integer("dim");
  return std::make_unique<DynamicUpdate>("dynamic_update", q.in[0], q.in[1].shape[dim], q.in[2],
                                         dim);
}

}  // namespace nacre::cpu
