// Attention and its gradient.
#include "backends/cpu/attention/attention.h"
#include "backends/cpu/kernel_macros.h"

namespace nacre::cpu {

KERNEL(scaled_dot_product_attention) {
  return make_attention(q.in, q.out, q.flag("causal"), q.number("scale"));
}
KERNEL(scaled_dot_product_attention_grad) {
  return make_attention_grad(q.in, q.out, q.flag("causal"), q.number("scale"));
}

}  // namespace nacre::cpu
