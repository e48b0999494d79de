// Reductions.
#include "backends/cpu/reduce/reduce.h"
#include "backends/cpu/kernel_macros.h"

namespace nacre::cpu {

KERNEL(sum) { return make_reduce(Reduce::sum, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(mean) { return make_reduce(Reduce::mean, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(prod) { return make_reduce(Reduce::prod, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(amax) { return make_reduce(Reduce::amax, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(amin) { return make_reduce(Reduce::amin, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(any) { return make_reduce(Reduce::any, q.in[0], q.out[0], q.ints("dims")); }
KERNEL(all) { return make_reduce(Reduce::all, q.in[0], q.out[0], q.ints("dims")); }

}  // namespace nacre::cpu
