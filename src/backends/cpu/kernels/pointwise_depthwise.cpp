// pointwise_depthwise: of one block of channels after the other, rows of the convolution by 1x1 are
// made as the depthwise one wants them, and as many are held as it has taps in a column. They stay
// in the first cache.
#include <algorithm>
#include <memory>
#include <utility>

#include "backends/cpu/copy.h"
#include "backends/cpu/dnnl.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/simd/block_tiles.h"
#include "backends/cpu/simd/interleave.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kMostRows = 16;  // of the taps of a depthwise convolution

/// One spatial dimension of the depthwise convolution.
struct Side {
  int64_t in, out, kernel, stride, pad;
};

class PointwiseDepthwise final : public Kernel {
 public:
  PointwiseDepthwise(const KernelQuery& q, Side h, Side w) : h_(h), w_(w), lanes_(block_lanes()) {
    batch_ = q.in[0].shape[0];
    ins_ = q.in[0].shape[1];
    outs_ = q.out[0].shape[1];
    first_.swish = q.flag("first_swish");
    first_.low = static_cast<float>(q.number("first_low"));
    first_.high = static_cast<float>(q.number("first_high"));
    second_.swish = q.flag("swish");
    second_.low = static_cast<float>(q.number("low"));
    second_.high = static_cast<float>(q.number("high"));
    // The zeros around a row; where the last window ends may lie before the input's end.
    const int64_t reach = (w_.out - 1) * w_.stride + w_.kernel;
    row_ = std::max(w_.pad + w_.in, reach) * lanes_;
    // Bands of rows where there are not enough blocks of channels for all threads; the rows that
    // two bands share are made twice.
    const int64_t units = batch_ * outs_;
    const int64_t work = batch_ * h_.in * w_.in * outs_ * lanes_ * ins_ * lanes_;
    const int64_t threads = work > (1 << 16) ? num_threads() : 1;
    const auto idle = [&](int64_t n) {
      return (n + threads - 1) / threads * threads * 10 > n * 11;
    };
    while (idle(units * bands_) && h_.out / (bands_ + 1) >= 3 * h_.kernel && bands_ < threads)
      ++bands_;
    workers_ = std::min(threads, units * bands_);
  }

  std::string description() const override { return "rows"; }
  size_t scratch_bytes() const override {
    const int64_t packed = (first_packed_ ? 0 : first_floats()) + (packed_ ? 0 : floats());
    return static_cast<size_t>(packed + workers_ * worker_floats()) * sizeof(float);
  }

  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    if (input != 1 && input != 3) return nullptr;
    auto to = aligned_array<float>(input == 1 ? first_floats() : floats());
    auto made = std::make_unique<PointwiseDepthwise>(*this);
    if (input == 1) {
      pack_first(static_cast<const float*>(values), to.get());
      made->first_packed_ = std::move(to);
    } else {
      pack(static_cast<const float*>(values), to.get());
      made->packed_ = std::move(to);
    }
    return made;
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto input = [&](int i) { return static_cast<const float*>(in[i]); };
    auto* free = static_cast<float*>(scratch);
    Operands o{input(0), first_packed_.get(),        input(2), packed_.get(),
               input(4), static_cast<float*>(out[0])};
    if (!first_packed_) {
      pack_first(input(1), free);
      o.first = std::exchange(free, free + first_floats());
    }
    if (!packed_) {
      pack(input(3), free);
      o.w = std::exchange(free, free + floats());
    }
    const int64_t tasks = batch_ * outs_ * bands_;
    parallel_for(workers_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) {
        float* rows = free + w * worker_floats();
        std::fill_n(rows, worker_floats(), 0.f);  // around what is made of a row it stays so
        for (int64_t t = tasks * w / workers_; t < tasks * (w + 1) / workers_; ++t) {
          const int64_t band = t % bands_, unit = t / bands_;
          some(o, unit / outs_, unit % outs_, h_.out * band / bands_, h_.out * (band + 1) / bands_,
               rows);
        }
      }
    });
  }

 private:
  struct Operands {
    const float *x, *first, *first_bias, *w, *bias;
    float* y;
  };

  int64_t taps() const { return h_.kernel * w_.kernel; }
  int64_t first_floats() const { return outs_ * ins_ * lanes_ * lanes_; }
  int64_t floats() const { return outs_ * taps() * lanes_; }
  int64_t worker_floats() const { return (h_.kernel + 1) * row_; }  // the last one stays zero

  void pack_first(const float* w, float* to) const {
    const int64_t channels = ins_ * lanes_;
    for (int64_t o = 0; o < outs_ * lanes_; o += lanes_)
      interleave(w + o * channels, channels, to + o * channels, lanes_, lanes_, channels);
  }
  void pack(const float* w, float* to) const {
    for (int64_t o = 0; o < outs_ * lanes_; o += lanes_)
      interleave(w + o * taps(), taps(), to + o * taps(), lanes_, lanes_, taps());
  }

  /// Calls f(first, count) for tiles of nearly equal length.
  template <class F>
  static void each_tile(int64_t pixels, F f) {
    const int64_t tiles = (pixels + block_pixels() - 1) / block_pixels();
    for (int64_t i = 0; i < tiles; ++i)
      f(pixels * i / tiles, pixels * (i + 1) / tiles - pixels * i / tiles);
  }

  /// Rows [begin, end) of the results of an image and a block of channels.
  void some(const Operands& o, int64_t image, int64_t block, int64_t begin, int64_t end,
            float* rows) const {
    const int64_t plane = h_.in * w_.in * lanes_;
    PointwiseTile one;
    one.apart = plane;
    one.blocks = ins_;
    one.w = o.first + block * ins_ * lanes_ * lanes_;
    one.to = first_;
    one.to.bias = o.first_bias + block * lanes_;
    DepthwiseTile two;
    const float* taken[kMostRows];
    two.rows = taken;
    two.kernel[0] = h_.kernel;
    two.kernel[1] = w_.kernel;
    two.stride = w_.stride;
    two.w = o.w + block * taps() * lanes_;
    two.to = second_;
    two.to.bias = o.bias + block * lanes_;
    const float* x = o.x + image * ins_ * plane;
    float* y = o.y + (image * outs_ + block) * h_.out * w_.out * lanes_;
    const auto row = [&](int64_t i) { return rows + i % h_.kernel * row_; };
    int64_t made = 0;  // rows above are there or will not be needed
    for (int64_t r = begin; r < end; ++r) {
      const int64_t top = r * h_.stride - h_.pad, last = std::min(h_.in, top + h_.kernel);
      for (made = std::max(made, top); made < last; ++made)
        each_tile(w_.in, [&](int64_t p, int64_t count) {
          one.x = x + (made * w_.in + p) * lanes_;
          one.to.y = row(made) + (w_.pad + p) * lanes_;
          pointwise_tile(one, count);
        });
      for (int64_t i = 0; i < h_.kernel; ++i)
        taken[i] = top + i >= 0 && top + i < h_.in ? row(top + i) : rows + h_.kernel * row_;
      each_tile(w_.out, [&](int64_t p, int64_t count) {
        two.column = p * w_.stride * lanes_;
        two.to.y = y + (r * w_.out + p) * lanes_;
        depthwise_tile(two, count);
      });
    }
  }

  Side h_, w_;
  int64_t lanes_, batch_ = 0, ins_ = 0, outs_ = 0;  // blocks of channels
  int64_t row_ = 0, bands_ = 1, workers_ = 1;       // floats of a row
  BlockResults first_, second_;
  std::shared_ptr<const float[]> first_packed_, packed_;
};

}  // namespace

KERNEL(pointwise_depthwise) {
  const Operand &x = q.in[0], &y = q.out[0];
  if (x.dtype != DType::f32 || !q.all_contiguous() || y.numel() == 0 || x.numel() == 0 ||
      x.shape[4] != block_lanes() || block_lanes() != dnnl::channel_block())
    return nullptr;
  const Ints stride = q.ints("stride"), dilation = q.ints("dilation"), pad = q.ints("pad_low");
  const auto side = [&](int64_t d) {
    const auto i = static_cast<size_t>(d);
    return Side{x.shape[2 + d], y.shape[2 + d], q.in[3].shape[2 + d], stride[i], pad[i]};
  };
  const Side h = side(0), w = side(1);
  if (dilation != Ints{1, 1} || h.kernel > kMostRows || w.stride > 2 || h.pad < 0 || w.pad < 0)
    return nullptr;
  return std::make_unique<PointwiseDepthwise>(q, h, w);
}

}  // namespace nacre::cpu
