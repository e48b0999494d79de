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
/// f(a b + bias [n] + residual [..., m, n]) of f32, where f is GELU or nothing; bias and residual
/// are dense inputs after a and b. Null where the library has no fast implementation.
std::unique_ptr<Kernel> make_matmul_fused(Operands in, Operands out, bool bias, bool residual,
                                          bool gelu);

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

struct PoolAttrs {
  Ints kernel, stride, dilation, pad_low;  ///< one entry for each spatial dimension
  bool include_pad = false;                ///< avg_pool: padding counts in the divisor
};
/// x [N, C, *S] -> values [N, C, *S'], indices i64 into the flattened input plane. A window's first
/// maximum wins; NaN is larger than all; a window of padding alone gives -infinity and index -1.
std::unique_ptr<Kernel> make_max_pool(Operands in, Operands out, const PoolAttrs& a);
std::unique_ptr<Kernel> make_avg_pool(Operands in, Operands out, const PoolAttrs& a);
/// dy -> dx.
std::unique_ptr<Kernel> make_avg_pool_grad(Operands in, Operands out, const PoolAttrs& a);

/// x -> values, indices i64. Stable; NaN sorts as the largest.
std::unique_ptr<Kernel> make_sort(Operands in, Operands out, int64_t dim, bool descending);
/// The k = out.shape[dim] largest or smallest, in order; of equal ones the first.
std::unique_ptr<Kernel> make_topk(Operands in, Operands out, int64_t dim, bool largest);
/// x -> i64 index of the first extreme; the first NaN if there is one. `dim` is absent from or 1 in
/// the output.
std::unique_ptr<Kernel> make_arg(Operands in, Operands out, int64_t dim, bool largest);
/// sorted ...xN ascending (or one row for all), values ...xM -> i64 places before (right: after)
/// equal entries.
std::unique_ptr<Kernel> make_searchsorted(Operands in, Operands out, bool right);
/// Running sum or product along dim; f32 accumulates in double.
std::unique_ptr<Kernel> make_cumulative(Operands in, Operands out, int64_t dim, bool product);

/// x, index of any rank -> x.shape[:dim] + index.shape + x.shape[dim+1:].
std::unique_ptr<Kernel> make_index_select(Operands in, Operands out, int64_t dim);
/// x, index, src -> x with src[.., j, ..] added at index[j], in the order of j.
std::unique_ptr<Kernel> make_index_add(Operands in, Operands out, int64_t dim);
/// base [m, ...] (dense, or one number with strides of 0), x [n, ...], to [e], from [e] and perhaps
/// weight [e] -> base with weight[k] x[from[k]] added at to[k], in the order of k.
std::unique_ptr<Kernel> make_edge_sum(Operands in);
/// x, index of the same rank -> x[.., index[..], ..] of index's shape.
std::unique_ptr<Kernel> make_gather(Operands in, Operands out, int64_t dim);
/// x, index, src -> x with src combined in at the indexed places, in row-major order of index;
/// reduce is "set", "add", "mul", "max" or "min".
std::unique_ptr<Kernel> make_scatter(Operands in, Operands out, int64_t dim,
                                     const std::string& reduce);

std::unique_ptr<Kernel> make_concat(Operands in, Operands out, int64_t dim);
/// One entry of low for each dimension, negative to crop; mode "constant" (value is input 1, else
/// 0), "reflect", "replicate" or "circular".
std::unique_ptr<Kernel> make_pad(Operands in, Operands out, const Ints& low,
                                 const std::string& mode);
std::unique_ptr<Kernel> make_flip(Operands in, Operands out, const Ints& dims);
std::unique_ptr<Kernel> make_roll(Operands in, Operands out, const Ints& shifts, const Ints& dims);
/// Any strides -> dense.
std::unique_ptr<Kernel> make_contiguous(Operands in, Operands out);

// Linear algebra over the last two dimensions, f32 and f64. A singular matrix, one that is not
// positive definite or not finite, is Error(numeric) with its place in the batch.

/// Symmetric a (its lower triangle is read) -> lower factor.
std::unique_ptr<Kernel> make_cholesky(Operands in, Operands out);
/// a [..., n, n], b [..., n, k] or [..., n] -> x of b's shape.
std::unique_ptr<Kernel> make_solve(Operands in, Operands out);
std::unique_ptr<Kernel> make_triangular_solve(Operands in, Operands out, bool lower, bool transpose,
                                              bool unit);
std::unique_ptr<Kernel> make_inverse(Operands in, Operands out);
std::unique_ptr<Kernel> make_det(Operands in, Operands out);
/// a -> sign, log of the absolute value; 0 and -infinity if singular.
std::unique_ptr<Kernel> make_slogdet(Operands in, Operands out);
/// Symmetric a (its lower triangle is read) -> eigenvalues ascending, vectors as columns.
std::unique_ptr<Kernel> make_eigh(Operands in, Operands out);
/// a [..., m, n] -> u [..., m, k], s [..., k], vh [..., k, n] with k = min(m, n).
std::unique_ptr<Kernel> make_svd(Operands in, Operands out);
/// a [..., m, n] -> q [..., m, k], r [..., k, n].
std::unique_ptr<Kernel> make_qr(Operands in, Operands out);

/// log_probs TxNxC, targets NxS, input and target lengths N -> losses N; with the gradient of the
/// losses as a fifth input and `gradient`: the gradient of log_probs. Targets and lengths are i64.
std::unique_ptr<Kernel> make_ctc(Operands in, Operands out, int64_t blank, bool gradient);

// Fourier transforms over the last axis, f32 and f64; complex numbers are a last dimension of 2.
// Forward is unnormalised, inverse divides by n.
std::unique_ptr<Kernel> make_fft_c2c(Operands in, Operands out, bool inverse);
/// [..., n] -> [..., n/2 + 1, 2].
std::unique_ptr<Kernel> make_rfft(Operands in, Operands out);
/// [..., n/2 + 1, 2] -> [..., n].
std::unique_ptr<Kernel> make_irfft(Operands in, Operands out);

}  // namespace nacre::cpu
