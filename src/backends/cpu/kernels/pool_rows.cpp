// max_pool_rows, of floats and of 8-bit integers, avg_pool_rows, of f32; the gradient of the first,
// of bf16.
#include <algorithm>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/library_pool.h"
#include "backends/cpu/simd/channel_loops.h"
#include "base/parallel.h"
#include "ops/nn/rows.h"

namespace nacre::cpu {
namespace {

bool takes_pool_rows(const KernelQuery& q, DType type) {
  for (const auto list : {q.in, q.out})
    for (const Operand& o : list)
      if (o.numel() == 0 || o.dtype != type) return false;
  return q.all_contiguous() && q.ints("dilation") == Ints{1, 1};
}

class MaxPoolRowsGrad final : public Kernel {
 public:
  explicit MaxPoolRowsGrad(const KernelQuery& q) : batch_(q.in[0].shape[0]) {
    const Shape &x = q.in[0].shape, &y = q.in[1].shape;
    const Ints kernel = q.ints("kernel"), stride = q.ints("stride"), pad = q.ints("pad_low");
    for (int i = 0; i < 2; ++i) {
      pool_.in[i] = x[1 + i];
      pool_.out[i] = y[1 + i];
      pool_.kernel[i] = kernel[i];
      pool_.stride[i] = stride[i];
      pool_.pad[i] = pad[i];
    }
    pool_.channels = x[3];
    pieces_ = std::min<int64_t>(num_threads(), units());
  }
  std::string description() const override { return "simd"; }
  size_t scratch_bytes() const override {
    return align64(piece_bytes()) * static_cast<size_t>(pieces_);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const int64_t groups = units() / batch_, x_size = pool_.in[0] * pool_.in[1] * pool_.channels,
                  y_size = pool_.out[0] * pool_.out[1] * pool_.channels;
    parallel_for(pieces_, 1, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; ++p) {
        auto* sums = reinterpret_cast<float*>(static_cast<char*>(scratch) +
                                              align64(piece_bytes()) * static_cast<size_t>(p));
        for (int64_t u = units() * p / pieces_; u < units() * (p + 1) / pieces_; ++u) {
          const int64_t n = u / groups;
          max_pool_rows_grad(pool_, static_cast<const uint16_t*>(in[0]) + n * x_size,
                             static_cast<const uint16_t*>(in[1]) + n * y_size,
                             static_cast<uint16_t*>(out[0]) + n * x_size,
                             u % groups * kPoolChannels, sums);
        }
      }
    });
  }

 private:
  int64_t units() const { return batch_ * ((pool_.channels + kPoolChannels - 1) / kPoolChannels); }
  size_t piece_bytes() const {
    return static_cast<size_t>(pool_.in[0] * pool_.in[1] * kPoolChannels) * sizeof(float);
  }

  RowsPool pool_;
  int64_t batch_, pieces_;
};

dnnl::BlockedPool described(const KernelQuery& q) {
  dnnl::BlockedPool p;
  p.input = without_rows(q.in[0].shape);
  p.output = without_rows(q.out[0].shape);
  p.kernel = q.ints("kernel");
  p.stride = q.ints("stride");
  p.pad_low = q.ints("pad_low");
  p.rows = true;
  p.dtype = q.in[0].dtype;
  return p;
}

}  // namespace

KERNEL(max_pool_rows) {
  const DType type = q.in[0].dtype;
  const bool known =
      type == DType::f32 || type == DType::bf16 || type == DType::u8 || type == DType::i8;
  if (!known || !takes_pool_rows(q, type) || !dnnl::native(type)) return nullptr;
  return LibraryPool::make(described(q));
}

KERNEL(avg_pool_rows) {
  if (!takes_pool_rows(q, DType::f32)) return nullptr;
  auto p = described(q);
  p.average = true;
  p.include_pad = q.flag("include_pad");
  return LibraryPool::make(p);
}

KERNEL(max_pool_rows_grad) {
  if (!takes_pool_rows(q, DType::bf16) || q.in[0].shape[1] * q.in[0].shape[2] > (int64_t{1} << 30))
    return nullptr;
  return std::make_unique<MaxPoolRowsGrad>(q);
}

}  // namespace nacre::cpu
