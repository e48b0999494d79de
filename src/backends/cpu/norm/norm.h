// Softmax, normalisation and cross entropy by plain parameters. Operands are contiguous; null means
// "not a type or shape of mine". f32 and f64 are computed in their own type with sums in double,
// 16-bit floats in f32. Results do not depend on the number of threads.
#pragma once

#include "backends/cpu/make.h"

namespace nacre::cpu {

/// x -> softmax over one dimension, or its logarithm.
std::unique_ptr<Kernel> make_softmax(Operands in, Operands out, int64_t dim, bool log);
/// (y, dy) -> dx, where y is the output of softmax or log_softmax.
std::unique_ptr<Kernel> make_softmax_grad(Operands in, Operands out, int64_t dim, bool log);

/// (logits [N, C], target i64 [N]) -> (loss [N], log-sum-exp [N]). run() throws Error(data) for a
/// target outside 0..C-1.
std::unique_ptr<Kernel> make_softmax_cross_entropy(Operands in, Operands out);
/// (logits, target, log-sum-exp, dloss [N]) -> dlogits.
std::unique_ptr<Kernel> make_softmax_cross_entropy_grad(Operands in, Operands out);

/// (x [, weight [, bias]]) -> (y, mean, rstd) over the last `normalized_rank` dimensions
/// (Ba et al., 2016). Without `center` it is root mean square normalisation (Zhang and Sennrich,
/// 2019): the outputs are (y, rstd). Outputs after y may be left out.
std::unique_ptr<Kernel> make_layer_norm(Operands in, Operands out, int64_t normalized_rank,
                                        double eps, bool center);
/// (x, mean, rstd, weight, dy) -> (dx, dw, db); (x, rstd, weight, dy) -> (dx, dw) without `center`.
/// The weight, and trailing outputs, may be left out.
std::unique_ptr<Kernel> make_layer_norm_grad(Operands in, Operands out, int64_t normalized_rank,
                                             bool center);

/// (x [N, C, ...], weight [C], bias [C]) -> (y, mean [C], biased variance [C]) over all dimensions
/// but the second (Ioffe and Szegedy, 2015).
std::unique_ptr<Kernel> make_batch_norm_train(Operands in, Operands out, double eps);
/// (x, weight, bias, mean, variance) -> y.
std::unique_ptr<Kernel> make_batch_norm_infer(Operands in, Operands out, double eps);
/// (x, weight, mean, variance, dy) -> (dx, dweight, dbias) of batch_norm_train.
std::unique_ptr<Kernel> make_batch_norm_grad(Operands in, Operands out, double eps);

}  // namespace nacre::cpu
