// Scaled dot product attention without the matrix of all scores (Dao et al., 2022: blocks of keys
// with a running maximum and sum).
#pragma once

#include "backends/cpu/make.h"

namespace nacre::cpu {

/// (q [B, H, L, D], k [B, H, S, D], v [B, H, S, E] [, mask]) -> (softmax(scale q k^T + mask) v
/// [B, H, L, E], log-sum-exp of the scores [B, H, L]).
///
/// The mask broadcasts to [B, H, L, S]; it is bool (true where a query may look) or added to the
/// scores. `causal`: query i sees keys 0..i. A query that sees nothing gives 0, and -inf as its
/// log-sum-exp. q, k, v and the mask may have any strides, as long as the last dimension of q, k
/// and v is dense. The log-sum-exp may be left out.
std::unique_ptr<Kernel> make_attention(Operands in, Operands out, bool causal, double scale);

/// (q, k, v, out, log-sum-exp, dout [, mask]) -> (dq, dk, dv). Strides as above, dout as q; out and
/// log-sum-exp are contiguous.
std::unique_ptr<Kernel> make_attention_grad(Operands in, Operands out, bool causal, double scale);

}  // namespace nacre::cpu
