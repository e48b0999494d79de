// Softmax, cross entropy and normalisation.
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/norm/norm.h"

namespace nacre::cpu {

KERNEL(softmax) { return make_softmax(q.in, q.out, q.integer("dim"), false); }
KERNEL(log_softmax) { return make_softmax(q.in, q.out, q.integer("dim"), true); }
KERNEL(softmax_grad) { return make_softmax_grad(q.in, q.out, q.integer("dim"), false); }
KERNEL(log_softmax_grad) { return make_softmax_grad(q.in, q.out, q.integer("dim"), true); }
KERNEL(softmax_cross_entropy) { return make_softmax_cross_entropy(q.in, q.out); }
KERNEL(softmax_cross_entropy_grad) { return make_softmax_cross_entropy_grad(q.in, q.out); }
KERNEL(layer_norm) {
  return make_layer_norm(q.in, q.out, q.integer("normalized_rank"), q.number("eps"), true);
}
KERNEL(layer_norm_grad) {
  return make_layer_norm_grad(q.in, q.out, q.integer("normalized_rank"), true);
}
KERNEL(rms_norm) {
  return make_layer_norm(q.in, q.out, q.integer("normalized_rank"), q.number("eps"), false);
}
KERNEL(rms_norm_grad) {
  return make_layer_norm_grad(q.in, q.out, q.integer("normalized_rank"), false);
}
KERNEL(batch_norm_train) { return make_batch_norm_train(q.in, q.out, q.number("eps")); }
KERNEL(batch_norm_infer) { return make_batch_norm_infer(q.in, q.out, q.number("eps")); }
KERNEL(batch_norm_grad) { return make_batch_norm_grad(q.in, q.out, q.number("eps")); }

}  // namespace nacre::cpu
