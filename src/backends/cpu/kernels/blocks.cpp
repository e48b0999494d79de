// conv_blocks and pool_blocks: the library's kernels on its own layout; to_blocks and from_blocks.
#include <algorithm>
#include <cstring>

#include "backends/cpu/dnnl.h"
#include "backends/cpu/fused_conv.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/library_pool.h"
#include "backends/cpu/simd/interleave.h"
#include "backends/cpu/tuning.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

/// [N, G, H, W, B] as [N, G*B, H, W].
Shape logical(const Shape& s) { return {s[0], s[1] * s[4], s[2], s[3]}; }

bool takes_blocks(const KernelQuery& q) {
  for (const auto list : {q.in, q.out})
    for (const Operand& o : list)
      if (o.numel() == 0 || o.dtype != DType::f32) return false;
  return q.all_contiguous();
}

/// Between planes and blocks. The plain side has `channels`; those that fill the last block are
/// zero.
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
    const auto* from = static_cast<const float*>(in[0]);
    auto* to = static_cast<float*>(out[0]);
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, plane_ * block_));
    parallel_for(batch_ * groups_, grain, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        const int64_t first = i % groups_ * block_;
        const int64_t planes = (i / groups_ * channels_ + first) * plane_;
        const int64_t count = std::min(block_, channels_ - first), blocks = i * plane_ * block_;
        if (to_blocks_)
          interleave(from + planes, plane_, to + blocks, count, block_, plane_);
        else
          deinterleave(from + blocks, to + planes, plane_, count, block_, plane_);
      }
    });
  }

 private:
  int64_t channels_, block_, groups_, batch_, plane_;
  bool to_blocks_;
};

}  // namespace

KERNEL(to_blocks) {
  if (!takes_blocks(q) || q.integer("block") % 4 != 0) return nullptr;
  return std::make_unique<Reorder>(q.in[0].shape, q.integer("block"), true);
}

KERNEL(from_blocks) {
  if (!takes_blocks(q) || q.in[0].shape[-1] % 4 != 0) return nullptr;
  return std::make_unique<Reorder>(q.out[0].shape, q.in[0].shape[-1], false);
}

KERNEL(conv_blocks) {
  if (!takes_blocks(q) || q.integer("block") != dnnl::channel_block()) return nullptr;
  dnnl::BlockedConvolution c;
  c.plain_input = q.flag("plain");
  c.input = c.plain_input ? q.in[0].shape : logical(q.in[0].shape);
  c.weight = q.in[1].shape;
  c.output = logical(q.out[0].shape);
  c.stride = q.ints("stride");
  c.dilation = q.ints("dilation");
  c.pad_low = q.ints("pad_low");
  c.groups = q.integer("groups");
  c.bias = q.flag("bias");
  c.accumulate = q.flag("residual");
  c.swish = q.flag("swish");
  c.low = static_cast<float>(q.number("low"));
  c.high = static_cast<float>(q.number("high"));
  const auto make = [&](dnnl::Form form) -> std::unique_ptr<Kernel> {
    c.form = form;
    auto program = dnnl::blocked_convolution(c);
    if (!program) return nullptr;
    return std::make_unique<FusedConv>(std::move(program), c.bias, c.accumulate ? 2 + c.bias : 0,
                                       q.out[0].bytes());
  };
  const Way ways[] = {{"cost model", [&] { return make(dnnl::Form::expected); }},
                      {"library", [&] { return make(dnnl::Form::direct); }},
                      {"winograd", [&] { return make(dnnl::Form::winograd); }}};
  const auto work = [&] {
    return cat({"conv_blocks ", q.in[0].shape, " with ", c.weight, " to ", q.out[0].shape,
                ", stride ", c.stride, ", dilation ", c.dilation, ", pad ", c.pad_low, ", groups ",
                c.groups, c.bias ? ", bias" : "", c.accumulate ? ", residual" : "",
                c.swish ? ", swish" : ""});
  };
  if (auto kernel = fastest(work, q.in, q.out, ways, 1)) return kernel;
  return make(dnnl::Form::expected);
}

KERNEL(pool_blocks) {
  const Ints dilation = q.ints("dilation");
  if (!takes_blocks(q) || q.in[0].shape[4] != dnnl::channel_block() || dilation != Ints{1, 1})
    return nullptr;
  return LibraryPool::make({logical(q.in[0].shape), logical(q.out[0].shape), q.ints("kernel"),
                            q.ints("stride"), q.ints("pad_low"), q.flag("average"),
                            q.flag("include_pad")});
}

}  // namespace nacre::cpu
