// Convolutions of 3x3 in Winograd's form, of f32 tensors whose channels lie in blocks of
// block_lanes().
#pragma once

#include <memory>

#include "backends/cpu/simd/block_tiles.h"
#include "graph/kernel.h"

namespace nacre::cpu {

/// y = act(x * w + bias + residual). Shapes are the logical ones, [N, C, H, W], with whole blocks.
struct WinogradConvolution {
  Shape input, output;
  int64_t pad_low[2] = {0, 0};
  bool turned = false;  ///< w is [C of input, C of output, 3, 3] and turned by 180 degrees: of dy
                        ///< and the weights of the forward pass this makes dx
  bool bias = false;    ///< the third operand
  int residual = 0;     ///< number of the operand that is added; 0: none
  BlockResults act;
};

/// Operands: x, plain w, bias and residual as far as they are there.
std::unique_ptr<Kernel> winograd_convolution(const WinogradConvolution& c);
/// Of shapes and padding: (x, dy) -> plain dw.
std::unique_ptr<Kernel> winograd_weight_grad(const WinogradConvolution& c);

}  // namespace nacre::cpu
