// Random tensors and dropout.
#include "backends/cpu/random/random.h"
#include "backends/cpu/kernel_macros.h"

namespace nacre::cpu {

KERNEL(random_bits) { return make_random_bits(q.in, q.out); }
KERNEL(random_uniform) { return make_random_uniform(q.in, q.out); }
KERNEL(random_normal) { return make_random_normal(q.in, q.out); }
KERNEL(dropout) { return make_dropout(q.in, q.out, q.number("p")); }

}  // namespace nacre::cpu
