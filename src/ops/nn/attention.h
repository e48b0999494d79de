// Samples of attention, in a file of their own.
#pragma once

#include "ops/op.h"

namespace nacre {

void attention_samples(Samples& s);
void attention_grad_samples(Samples& s);

/// The gradient's node: (q, k, v, out, log-sum-exp, dout[, mask]) -> (dq, dk, dv).
Tensors attention_grad(const Tensors& in, bool causal, double scale);

}  // namespace nacre
