// The heavy kernels by plain parameters. The KERNEL functions read the attributes of an op and call
// these; tests call them directly. All operands are contiguous unless a comment says otherwise;
// null means "not a type or shape of mine".
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "graph/kernel.h"

namespace nacre::cpu {

using Operands = std::span<const Operand>;

/// An operand of this shape without gaps.
Operand dense(DType t, Shape shape);

/// Wraps a kernel for f32 operands so that it takes 16-bit floats of the same shapes: inputs are
/// widened in scratch, outputs rounded once at the end. Operands of other types pass through.
using Make = std::function<std::unique_ptr<Kernel>(Operands, Operands)>;
std::unique_ptr<Kernel> in_f32(Operands in, Operands out, const Make& make);

/// a [..., m, k] b [..., k, n] -> [..., m, n]; inputs may have any strides.
std::unique_ptr<Kernel> make_matmul(Operands in, Operands out);

struct ConvAttrs {
  Ints stride, dilation, pad_low;  ///< one entry for each spatial dimension
  int64_t groups = 1;
};
/// x [N, C, *S], w [O, C/groups, *K] -> [N, O, *S'].
std::unique_ptr<Kernel> make_conv(Operands in, Operands out, const ConvAttrs& a);
/// dy, w -> dx.
std::unique_ptr<Kernel> make_conv_input_grad(Operands in, Operands out, const ConvAttrs& a);
/// x, dy -> dw.
std::unique_ptr<Kernel> make_conv_weight_grad(Operands in, Operands out, const ConvAttrs& a);

}  // namespace nacre::cpu
