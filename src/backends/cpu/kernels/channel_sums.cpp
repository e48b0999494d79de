// channel_moments and channel_products of bf16: sums over rows, in pieces that the shape fixes, so
// that results do not depend on the number of threads.
#include <algorithm>

#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/simd/channel_loops.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

bool ours(const KernelQuery& q) {
  for (size_t i = 0; i < q.in.size(); ++i)
    if (q.in[i].dtype != (i == 2 ? DType::f32 : DType::bf16)) return false;
  return q.all_contiguous() && q.in[0].numel() > 0;
}

class ChannelSums final : public Kernel {
 public:
  ChannelSums(const Shape& x, bool moments)
      : cols_(x[-1]), rows_(x.numel() / x[-1]), moments_(moments) {
    const int64_t least = std::max<int64_t>(64, (1 << 14) / cols_);  // rows of a piece
    pieces_ = std::clamp<int64_t>(rows_ / least, 1, 64);
  }
  std::string description() const override { return "simd"; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(pieces_ * 2 * cols_) * sizeof(double) +
           static_cast<size_t>(cols_) * sizeof(float);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const uint16_t*>(in[0]);
    auto* sums = static_cast<double*>(scratch);
    auto* own = reinterpret_cast<float*>(sums + pieces_ * 2 * cols_);
    // Differences from the first row: those from zero lose digits where the mean is large.
    if (moments_)
      for (int64_t c = 0; c < cols_; ++c) own[c] = bf16_to_f32(x[c]);
    const float* centre = moments_ ? own : static_cast<const float*>(in[2]);
    parallel_for(pieces_, 1, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; ++p) {
        const int64_t first = rows_ * p / pieces_, last = rows_ * (p + 1) / pieces_;
        double* s = sums + p * 2 * cols_;
        if (moments_)
          channel_moments(x + first * cols_, cols_, last - first, cols_, centre, s, s + cols_);
        else
          channel_products(x + first * cols_, static_cast<const uint16_t*>(in[1]) + first * cols_,
                           cols_, last - first, cols_, centre, s, s + cols_);
      }
    });
    auto* a = static_cast<float*>(out[0]);
    auto* b = static_cast<float*>(out[1]);
    const auto n = static_cast<double>(rows_);
    for (int64_t c = 0; c < cols_; ++c) {
      double s = 0, t = 0;
      for (int64_t p = 0; p < pieces_; ++p) {
        s += sums[p * 2 * cols_ + c];
        t += sums[(p * 2 + 1) * cols_ + c];
      }
      if (moments_) {
        t = std::max(0.0, t / n - s / n * (s / n));
        s = s / n + static_cast<double>(own[c]);
      }
      a[c] = static_cast<float>(s);
      b[c] = static_cast<float>(t);
    }
  }

 private:
  int64_t cols_, rows_, pieces_;
  bool moments_;
};

}  // namespace

KERNEL(channel_moments) {
  return ours(q) ? std::make_unique<ChannelSums>(q.in[0].shape, true) : nullptr;
}

KERNEL(channel_products) {
  return ours(q) ? std::make_unique<ChannelSums>(q.in[0].shape, false) : nullptr;
}

}  // namespace nacre::cpu
