#include "backends/cpu/batch_conv.h"

#include <algorithm>

#include "backends/cpu/simd/batch_conv.h"
#include "backends/cpu/simd/interleave.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kMostFloats = 1 << 19;  // of the images of a vector, or of sums

class BatchConvKernel final : public Kernel {
 public:
  BatchConvKernel(ConvPass pass, const ConvGeometry& g)
      : pass_(pass), g_(g), c_{g.plane(), g.group_in(), g.group_out()}, lanes_(batch_lanes()) {
    slices_ = (g.batch + lanes_ - 1) / lanes_;
    units_ = slices_ * g.groups;
    const int64_t work = g.batch * g.out_channels * g.out_plane() * g.group_in() * g.taps();
    workers_ = std::min<int64_t>(units_, work > (1 << 16) ? num_threads() : 1);
    x_floats_ = c_.ins * c_.frame_plane() * lanes_;
    y_floats_ = c_.outs * c_.plane.out_plane() * lanes_;
    sums_floats_ = pass == ConvPass::weight_grad ? g.groups * c_.weights() * lanes_ : 0;
  }
  std::string description() const override { return "batch"; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(workers_ * floats()) * sizeof(float);
  }
  bool fits() const {
    return 2 * g_.batch > slices_ * lanes_ && x_floats_ + y_floats_ <= kMostFloats &&
           sums_floats_ <= kMostFloats;
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto *a = static_cast<const float*>(in[0]), *b = static_cast<const float*>(in[1]);
    auto* to = static_cast<float*>(out[0]);
    parallel_for(workers_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) {
        float* own = static_cast<float*>(scratch) + w * floats();
        std::fill_n(own, x_floats_, 0.f);
        std::fill_n(own + x_floats_ + y_floats_, sums_floats_, 0.f);
        for (int64_t u = units_ * w / workers_; u < units_ * (w + 1) / workers_; ++u)
          unit(a, b, u / g_.groups, u % g_.groups, to, own);
      }
    });
    if (pass_ == ConvPass::weight_grad) finish(to, static_cast<float*>(scratch));
  }

 private:
  int64_t floats() const { return x_floats_ + y_floats_ + sums_floats_; }

  void unit(const float* a, const float* b, int64_t slice, int64_t group, float* to,
            float* own) const {
    const int64_t first = slice * lanes_, images = std::min(lanes_, g_.batch - first);
    const int64_t x_at = (first * g_.in_channels + group * c_.ins) * g_.in_plane();
    const int64_t y_at = (first * g_.out_channels + group * c_.outs) * g_.out_plane();
    const int64_t weights = group * c_.weights();
    float *x = own, *y = own + x_floats_;
    switch (pass_) {
      case ConvPass::forward:
        load_input(a + x_at, images, x);
        batch_forward(c_, x, b + weights, y);
        for (int64_t o = 0; o < c_.outs; ++o)
          deinterleave(y + o * g_.out_plane() * lanes_, to + y_at + o * g_.out_plane(),
                       g_.out_channels * g_.out_plane(), images, lanes_, g_.out_plane());
        break;
      case ConvPass::input_grad:
        load_output(a + y_at, images, y);
        batch_input_grad(c_, y, b + weights, x);
        store_input(x, images, to + x_at);
        break;
      case ConvPass::weight_grad:
        load_input(a + x_at, images, x);
        load_output(b + y_at, images, y);
        batch_weight_grad(c_, x, y, y + y_floats_ + weights * lanes_);
        break;
    }
  }

  /// Calls f(place in the input, place in the frame, columns) for each piece of a channel that both
  /// have.
  template <typename F>
  void each_row(F f) const {
    const ConvPlane& s = c_.plane;
    const int64_t rows = std::min(s.in[0], c_.frame(0) - s.pad[0]);
    const int64_t columns = std::min(s.in[1], c_.frame(1) - s.pad[1]);
    if (rows <= 0 || columns <= 0) return;
    if (columns == s.in[1] && columns == c_.frame(1))
      return f(int64_t{0}, s.pad[0] * columns, rows * columns);
    for (int64_t r = 0; r < rows; ++r)
      f(r * s.in[1], (r + s.pad[0]) * c_.frame(1) + s.pad[1], columns);
  }
  void load_input(const float* from, int64_t images, float* x) const {
    for (int64_t i = 0; i < c_.ins; ++i)
      each_row([&](int64_t at, int64_t place, int64_t columns) {
        interleave(from + i * g_.in_plane() + at, g_.in_channels * g_.in_plane(),
                   x + (i * c_.frame_plane() + place) * lanes_, images, lanes_, columns);
      });
  }
  void load_output(const float* from, int64_t images, float* y) const {
    for (int64_t o = 0; o < c_.outs; ++o)
      interleave(from + o * g_.out_plane(), g_.out_channels * g_.out_plane(),
                 y + o * g_.out_plane() * lanes_, images, lanes_, g_.out_plane());
  }
  /// What lies outside of the frame was not read: its gradient is zero.
  void store_input(const float* x, int64_t images, float* to) const {
    const int64_t image = g_.in_channels * g_.in_plane();
    if (c_.frame(0) - c_.plane.pad[0] < c_.plane.in[0] ||
        c_.frame(1) - c_.plane.pad[1] < c_.plane.in[1])
      for (int64_t n = 0; n < images; ++n) std::fill_n(to + n * image, c_.ins * g_.in_plane(), 0.f);
    for (int64_t i = 0; i < c_.ins; ++i)
      each_row([&](int64_t at, int64_t place, int64_t columns) {
        deinterleave(x + (i * c_.frame_plane() + place) * lanes_, to + i * g_.in_plane() + at,
                     image, images, lanes_, columns);
      });
  }

  /// Adds what the workers have summed up.
  void finish(float* dw, float* scratch) const {
    float* sums = scratch + x_floats_ + y_floats_;
    for (int64_t w = 1; w < workers_; ++w) {
      const float* more = sums + w * floats();
      for (int64_t i = 0; i < sums_floats_; ++i) sums[i] += more[i];
    }
    add_lanes(sums, sums_floats_ / lanes_, dw);
  }

  ConvPass pass_;
  ConvGeometry g_;
  BatchConv c_;
  int64_t lanes_, slices_ = 0, units_ = 0, workers_ = 1;
  int64_t x_floats_ = 0, y_floats_ = 0, sums_floats_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_batch_conv(ConvPass pass, const ConvGeometry& g) {
  if (!g.flat() || g.pad[1] < 0 || g.pad[2] < 0 || batch_lanes() < 4) return nullptr;
  auto kernel = std::make_unique<BatchConvKernel>(pass, g);
  return kernel->fits() ? std::move(kernel) : nullptr;
}

}  // namespace nacre::cpu
