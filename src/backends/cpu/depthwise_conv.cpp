#include "backends/cpu/depthwise_conv.h"

#include <algorithm>

#include "backends/cpu/simd/depthwise.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

class DepthwiseConv final : public Kernel {
 public:
  DepthwiseConv(ConvPass pass, const ConvGeometry& g)
      : pass_(pass), batch_(g.batch), channels_(g.groups), s_(g.plane()) {
    // Of weight gradients, one thread makes all sums of a channel.
    units_ = pass == ConvPass::weight_grad ? channels_ : batch_ * channels_;
    const int64_t work = batch_ * channels_ * s_.out_plane() * s_.taps();
    workers_ = std::min<int64_t>(units_, work > (1 << 16) ? num_threads() : 1);
    floats_ = (depthwise_floats(s_) + 15) / 16 * 16;
  }
  std::string description() const override { return "depthwise"; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(workers_ * floats_) * sizeof(float);
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto *a = static_cast<const float*>(in[0]), *b = static_cast<const float*>(in[1]);
    auto* to = static_cast<float*>(out[0]);
    parallel_for(workers_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t w = begin; w < end; ++w) {
        const int64_t first = units_ * w / workers_, last = units_ * (w + 1) / workers_;
        float* own = static_cast<float*>(scratch) + w * floats_;
        if (pass_ == ConvPass::forward)
          depthwise_forward(s_, a, b, channels_, first, last, to, own);
        else if (pass_ == ConvPass::input_grad)
          depthwise_input_grad(s_, a, b, channels_, first, last, to, own);
        else
          depthwise_weight_grad(s_, a, b, batch_, channels_, first, last, to, own);
      }
    });
  }

 private:
  ConvPass pass_;
  int64_t batch_, channels_, units_ = 0, workers_ = 1, floats_ = 0;
  ConvPlane s_;
};

}  // namespace

std::unique_ptr<Kernel> make_depthwise_conv(ConvPass pass, const ConvGeometry& g) {
  if (g.group_in() != 1 || g.group_out() != 1 || !g.flat()) return nullptr;
  for (size_t d = 1; d < 3; ++d)
    if (g.stride[d] > kDepthwiseStride || g.kernel[d] > kDepthwiseTaps || g.pad[d] < 0)
      return nullptr;
  return std::make_unique<DepthwiseConv>(pass, g);
}

}  // namespace nacre::cpu
