// Tensors whose channels lie in blocks: NxCx*S as Nx(C/B)x*SxB, the layout in which convolutions
// are fastest. The layout pass (compile/passes/layout.cpp) makes these ops; nobody records them.
#pragma once

#include "ops/nn/conv.h"
#include "ops/nn/pool.h"

namespace nacre {

/// A convolution with what follows it: act(conv(x, w) + bias + residual), limited to [low, high].
struct ConvBlocksAttrs : ConvAttrs {
  int64_t block = 16;
  bool plain = false;                   ///< x is NxCxHxW; else it is in blocks like all the rest
  bool training = false;                ///< the weight changes from run to run
  bool bias = false, residual = false;  ///< these inputs follow x and w, in this order
  bool swish = false;                   ///< y * sigmoid(y) before the limits
  double low = -INFINITY, high = INFINITY;
  int64_t macs = 0;  ///< of the convolution without padded channels
  void fields(FieldVisitor& v) {
    ConvAttrs::fields(v);
    v("block", block);
    v("plain", plain);
    v("training", training);
    v("bias", bias);
    v("residual", residual);
    v("swish", swish);
    v("low", low);
    v("high", high);
    v("macs", macs);
  }
};

/// A convolution by 1x1 with bias and activation, then a depthwise one, which the other attributes
/// describe.
struct PointwiseDepthwiseAttrs : ConvBlocksAttrs {
  bool first_swish = false;  ///< of the convolution by 1x1
  double first_low = -INFINITY, first_high = INFINITY;
  void fields(FieldVisitor& v) {
    ConvBlocksAttrs::fields(v);
    v("first_swish", first_swish);
    v("first_low", first_low);
    v("first_high", first_high);
  }
};

struct PoolBlocksAttrs : AvgPoolAttrs {
  bool average = false;  ///< else the maximum
  void fields(FieldVisitor& v) {
    AvgPoolAttrs::fields(v);
    v("average", average);
  }
};

/// Channels of a block that kernels are there for: with AVX-512, and elsewhere.
inline constexpr int64_t kBlockSizes[] = {16, 8};

/// In samples: planes in blocks of `block`, in PyTorch.
inline std::string torch_blocks(int64_t block) {
  return cat({".unflatten(1, (-1, ", block, ")).permute(0, 1, 3, 4, 2)"});
}

/// [N, G, H, W, B] as [N, G*B, H, W]; others as they are.
inline Shape without_blocks(const Shape& s) {
  return s.rank() == 5 ? Shape{s[0], s[1] * s[4], s[2], s[3]} : s;
}

/// NxCx*S -> Nxceil(C/block)x*Sxblock; channels that are added are zero.
Tensor to_blocks(const Tensor& x, int64_t block);
/// The first `channels` of NxGx*SxB as NxCx*S.
Tensor from_blocks(const Tensor& x, int64_t channels);

}  // namespace nacre
