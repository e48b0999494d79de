// conv_blocks and pool_blocks: the library's kernels on its own layout; to_blocks and from_blocks.
#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/cpu/dnnl.h"
#include "backends/cpu/fused_conv.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/library_pool.h"
#include "backends/cpu/simd/interleave.h"
#include "backends/cpu/tuning.h"
#include "backends/cpu/winograd_conv.h"
#include "base/parallel.h"
#include "nacre/error.h"
#include "ops/nn/blocks.h"

namespace nacre::cpu {
namespace {

bool takes_blocks(const KernelQuery& q) {
  for (const auto list : {q.in, q.out})
    for (const Operand& o : list)
      if (o.numel() == 0 || o.dtype != DType::f32) return false;
  return q.all_contiguous();
}

void to_pixels(const float* from, float* to, int64_t channels, int64_t block, int64_t plane) {
  interleave(from, plane, to, channels, block, plane);
}
void to_planes(const float* from, float* to, int64_t channels, int64_t block, int64_t plane) {
  deinterleave(from, to, plane, channels, block, plane);
}
// Of truth values, which are few and seldom.
void to_pixels(const uint8_t* from, uint8_t* to, int64_t channels, int64_t block, int64_t plane) {
  for (int64_t p = 0; p < plane; ++p)
    for (int64_t c = 0; c < block; ++c) to[p * block + c] = c < channels ? from[c * plane + p] : 0;
}
void to_planes(const uint8_t* from, uint8_t* to, int64_t channels, int64_t block, int64_t plane) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t p = 0; p < plane; ++p) to[c * plane + p] = from[p * block + c];
}

/// Between planes and blocks. The plain side has `channels`; those that fill the last block are
/// zero.
template <typename T>
class Reorder final : public Kernel {
 public:
  Reorder(const Shape& plain, int64_t block, bool to_blocks)
      : channels_(plain[1]),
        block_(block),
        groups_((plain[1] + block - 1) / block),
        batch_(plain[0]),
        plane_(plain.slice(2, plain.rank()).numel()),
        to_blocks_(to_blocks) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* from = static_cast<const T*>(in[0]);
    auto* to = static_cast<T*>(out[0]);
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, plane_ * block_));
    parallel_for(batch_ * groups_, grain, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        const int64_t first = i % groups_ * block_;
        const int64_t planes = (i / groups_ * channels_ + first) * plane_;
        const int64_t count = std::min(block_, channels_ - first), blocks = i * plane_ * block_;
        if (to_blocks_)
          to_pixels(from + planes, to + blocks, count, block_, plane_);
        else
          to_planes(from + blocks, to + planes, count, block_, plane_);
      }
    });
  }

 private:
  int64_t channels_, block_, groups_, batch_, plane_;
  bool to_blocks_;
};

std::unique_ptr<Kernel> reorder(const KernelQuery& q, const Shape& plain, int64_t block,
                                bool to_blocks) {
  if (!q.all_contiguous() || q.in[0].numel() == 0 || block % 4 != 0) return nullptr;
  if (q.in[0].dtype == DType::f32) return std::make_unique<Reorder<float>>(plain, block, to_blocks);
  if (q.in[0].dtype == DType::boolean)
    return std::make_unique<Reorder<uint8_t>>(plain, block, to_blocks);
  return nullptr;
}

}  // namespace

KERNEL(to_blocks) { return reorder(q, q.in[0].shape, q.integer("block"), true); }

KERNEL(from_blocks) { return reorder(q, q.out[0].shape, q.in[0].shape[-1], false); }

namespace {

/// What the attributes of the three convolutions say; the shapes of x and y as they lie in memory.
dnnl::BlockedConvolution described(const KernelQuery& q, const Shape& x, const Shape& weight,
                                   const Shape& y) {
  dnnl::BlockedConvolution c;
  c.plain_input = x.rank() == 4;
  c.input = without_blocks(x);
  c.weight = weight;
  c.output = without_blocks(y);
  c.stride = q.ints("stride");
  c.dilation = q.ints("dilation");
  c.pad_low = q.ints("pad_low");
  c.groups = q.integer("groups");
  return c;
}

/// Null where the convolution has no such form, blocks are not vectors, or NACRE_WINOGRAD=0.
std::unique_ptr<Kernel> winograd(const dnnl::BlockedConvolution& c) {
  if (block_lanes() != dnnl::channel_block() || !dnnl::winograd_allowed() || c.plain_input ||
      c.groups != 1 || c.weight.slice(2, 4) != Ints{3, 3} || c.stride != Ints{1, 1} ||
      c.dilation != Ints{1, 1})
    return nullptr;
  WinogradConvolution w;
  w.input = c.input;
  w.output = c.output;
  w.turned = c.pass == dnnl::Pass::input_grad;
  if (w.turned) std::swap(w.input, w.output);
  for (int64_t i = 0; i < 2; ++i) w.pad_low[i] = w.turned ? 2 - c.pad_low[i] : c.pad_low[i];
  w.bias = c.bias;
  w.residual = c.accumulate ? 2 + c.bias : 0;
  w.act = {.swish = c.swish, .low = c.low, .high = c.high};
  return c.pass == dnnl::Pass::weight_grad ? winograd_weight_grad(w) : winograd_convolution(w);
}

/// Whether Winograd's form is expected to be the faster one: where its tiles save half of the
/// multiplications. It was for every shape that was measured, from 49 results and 16 channels on.
/// The parts of weights, four times as large as these, are not to take more than 256 MiB.
bool winograd_pays(const dnnl::BlockedConvolution& c) {
  const auto tiles = [&](int64_t d) { return (c.output[d] + 3) / 4; };
  return c.weight.numel() <= 16 << 20 &&
         9 * c.output[2] * c.output[3] >= 2 * 36 * tiles(2) * tiles(3);
}

/// `constant_weight`: it stays the same over many runs.
std::unique_ptr<Kernel> fastest_form(const KernelQuery& q, const dnnl::BlockedConvolution& c,
                                     std::string_view op, bool constant_weight) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const bool limited = c.low > -inf || c.high < inf;
  const auto library = [&]() -> std::unique_ptr<Kernel> {
    // Its limits make a number of NaN, which training is to come to know.
    if (limited && !constant_weight) return nullptr;
    auto program = dnnl::blocked_convolution(c);
    if (!program) return nullptr;
    return std::make_unique<FusedConv>(std::move(program), c.bias, c.accumulate ? 2 + c.bias : 0,
                                       q.out[0].bytes());
  };
  const auto expected = [&] {
    auto kernel = winograd_pays(c) ? winograd(c) : nullptr;
    return kernel ? std::move(kernel) : library();
  };
  const Way ways[] = {
      {"cost model", expected}, {"library", library}, {"winograd", [&] { return winograd(c); }}};
  const auto work = [&] {
    return cat({op,
                " ",
                c.input,
                c.plain_input ? ", plain," : "",
                " with ",
                c.weight,
                " to ",
                c.output,
                ", stride ",
                c.stride,
                ", dilation ",
                c.dilation,
                ", pad ",
                c.pad_low,
                ", groups ",
                c.groups,
                c.bias ? ", bias" : "",
                c.accumulate ? ", residual" : "",
                c.swish ? ", swish" : "",
                constant_weight ? "" : ", weights change"});
  };
  if (auto kernel = fastest(work, q.in, q.out, ways, constant_weight ? 1 : -1)) return kernel;
  return expected();
}

/// The last dimension is the block of this processor.
bool blocked(const Operand& o) {
  return o.shape.rank() == 5 && o.shape[4] == dnnl::channel_block();
}

}  // namespace

KERNEL(conv_blocks) {
  if (!takes_blocks(q) || !blocked(q.out[0])) return nullptr;
  auto c = described(q, q.in[0].shape, q.in[1].shape, q.out[0].shape);
  c.bias = q.flag("bias");
  c.accumulate = q.flag("residual");
  c.swish = q.flag("swish");
  c.low = static_cast<float>(q.number("low"));
  c.high = static_cast<float>(q.number("high"));
  return fastest_form(q, c, "conv_blocks", !q.flag("training"));
}

KERNEL(conv_blocks_input_grad) {
  if (!takes_blocks(q) || !blocked(q.in[0])) return nullptr;
  auto c = described(q, q.out[0].shape, q.in[1].shape, q.in[0].shape);
  c.pass = dnnl::Pass::input_grad;
  return fastest_form(q, c, "conv_blocks_input_grad", false);
}

KERNEL(conv_blocks_weight_grad) {
  if (!takes_blocks(q) || !blocked(q.in[1])) return nullptr;
  auto c = described(q, q.in[0].shape, q.out[0].shape, q.in[1].shape);
  c.pass = dnnl::Pass::weight_grad;
  return fastest_form(q, c, "conv_blocks_weight_grad", false);
}

KERNEL(pool_blocks) {
  const Ints dilation = q.ints("dilation");
  if (!takes_blocks(q) || q.in[0].shape[4] != dnnl::channel_block() || dilation != Ints{1, 1})
    return nullptr;
  return LibraryPool::make({without_blocks(q.in[0].shape), without_blocks(q.out[0].shape),
                            q.ints("kernel"), q.ints("stride"), q.ints("pad_low"),
                            q.flag("average"), q.flag("include_pad")});
}

}  // namespace nacre::cpu
