// channel_moments and channel_products of bf16 and f32: sums over rows, in pieces that the shape
// fixes, so that results do not depend on the number of threads.
#include <algorithm>

#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/simd/channel_loops.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

bool takes_channels(const KernelQuery& q) {
  const DType t = q.in[0].dtype;
  if (t != DType::f32 && t != DType::bf16) return false;
  for (size_t i = 0; i < q.in.size(); ++i)
    if (q.in[i].dtype != (i == 2 ? DType::f32 : t)) return false;
  return q.all_contiguous() && q.in[0].numel() > 0;
}

float as_float(uint16_t v) { return bf16_to_f32(v); }
float as_float(float v) { return v; }

/// x lies as [outer, groups, rows, cols]: the channels are groups x cols. Without blocks, outer and
/// groups are 1.
template <typename T>
class ChannelSums final : public Kernel {
 public:
  ChannelSums(const Shape& x, bool blocks, bool moments) : cols_(x[-1]), moments_(moments) {
    if (blocks) {
      outer_ = x[0];
      groups_ = x[1];
    }
    rows_ = x.numel() / (outer_ * groups_ * cols_);
    const int64_t least = std::max<int64_t>(64, (1 << 14) / cols_);  // rows of a piece
    pieces_ = std::clamp<int64_t>(rows_ / least, 1, 64);
  }
  std::string description() const override { return "simd"; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(outer_ * groups_ * pieces_ * 2 * cols_) * sizeof(double) +
           static_cast<size_t>(groups_ * cols_) * sizeof(float);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const T*>(in[0]);
    const auto* dy = static_cast<const T*>(moments_ ? in[0] : in[1]);
    auto* sums = static_cast<double*>(scratch);
    const int64_t block = rows_ * cols_;
    auto* own = reinterpret_cast<float*>(sums + outer_ * groups_ * pieces_ * 2 * cols_);
    // Differences from the first row: those from zero lose digits where the mean is large.
    if (moments_)
      for (int64_t c = 0; c < groups_ * cols_; ++c)
        own[c] = as_float(x[c / cols_ * block + c % cols_]);
    const float* centre = moments_ ? own : static_cast<const float*>(in[2]);
    parallel_for(outer_ * groups_ * pieces_, std::max<int64_t>(1, (1 << 13) * pieces_ / block),
                 [&](int64_t from, int64_t to) {
                   for (int64_t p = from; p < to; ++p) {
                     const int64_t part = p % pieces_, at = p / pieces_;
                     const int64_t first = rows_ * part / pieces_,
                                   last = rows_ * (part + 1) / pieces_;
                     const int64_t begin = at * block + first * cols_;
                     sum(x + begin, dy + begin, last - first, centre + at % groups_ * cols_,
                         sums + p * 2 * cols_);
                   }
                 });
    auto* a = static_cast<float*>(out[0]);
    auto* b = static_cast<float*>(out[1]);
    const auto n = static_cast<double>(outer_ * rows_);
    for (int64_t g = 0; g < groups_; ++g) {
      for (int64_t c = 0; c < cols_; ++c) {
        double s = 0, t = 0;
        for (int64_t o = 0; o < outer_; ++o)
          for (int64_t p = 0; p < pieces_; ++p) {
            const double* part = sums + ((o * groups_ + g) * pieces_ + p) * 2 * cols_;
            s += part[c];
            t += part[cols_ + c];
          }
        const int64_t channel = g * cols_ + c;
        if (moments_) {
          t = std::max(0.0, t / n - s / n * (s / n));
          s = s / n + static_cast<double>(own[channel]);
        }
        a[channel] = static_cast<float>(s);
        b[channel] = static_cast<float>(t);
      }
    }
  }

 private:
  static constexpr int64_t kWide = 64;  // columns that the loops take at once

  /// Rows of few columns are taken several beside each other.
  void sum(const T* x, const T* dy, int64_t rows, const float* centre, double* sums) const {
    const int64_t beside = kWide % cols_ == 0 ? kWide / cols_ : 1;
    if (beside == 1 || rows < beside) return loop(x, dy, rows, cols_, centre, sums, sums + cols_);
    float centres[kWide];
    double first[kWide], second[kWide], rest[kWide], rest2[kWide];
    for (int64_t i = 0; i < kWide; ++i) centres[i] = centre[i % cols_];
    const int64_t whole = rows / beside, done = whole * kWide;
    loop(x, dy, whole, kWide, centres, first, second);
    loop(x + done, dy + done, rows - whole * beside, cols_, centre, rest, rest2);
    for (int64_t c = 0; c < cols_; ++c) {
      double s = rest[c], t = rest2[c];
      for (int64_t i = c; i < kWide; i += cols_) {
        s += first[i];
        t += second[i];
      }
      sums[c] = s;
      sums[cols_ + c] = t;
    }
  }
  void loop(const T* x, const T* dy, int64_t rows, int64_t cols, const float* centre, double* first,
            double* second) const {
    if (moments_)
      channel_moments(x, cols, rows, cols, centre, first, second);
    else
      channel_products(x, dy, cols, rows, cols, centre, first, second);
  }

  int64_t outer_ = 1, groups_ = 1, rows_ = 0, cols_, pieces_ = 1;
  bool moments_;
};

std::unique_ptr<Kernel> make_channel_sums(const KernelQuery& q, bool moments) {
  if (!takes_channels(q)) return nullptr;
  const bool blocks = q.flag("blocks");
  if (q.in[0].dtype == DType::f32)
    return std::make_unique<ChannelSums<float>>(q.in[0].shape, blocks, moments);
  return std::make_unique<ChannelSums<uint16_t>>(q.in[0].shape, blocks, moments);
}

}  // namespace

KERNEL(channel_moments) { return make_channel_sums(q, true); }

KERNEL(channel_products) { return make_channel_sums(q, false); }

}  // namespace nacre::cpu
