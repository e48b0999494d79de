// The kernels of the library and of nacre_runner: all.
#include "embed/step.h"

// clang-format off
#define NACRE_KERNELS(X) \
  X(reshape) X(copy) X(select) X(conv) X(max_pool) X(avg_pool) X(matmul) X(reduce) X(softmax) \
  X(concat) X(pad) X(take) X(gather) X(order) X(unary_neg) X(unary_abs) X(unary_relu) \
  X(unary_sigmoid) X(unary_tanh) X(unary_exp) X(unary_log) X(unary_sqrt) X(unary_rsqrt) \
  X(unary_square) X(unary_reciprocal) X(unary_erf) X(unary_floor) X(unary_ceil) X(unary_round) \
  X(unary_trunc) X(unary_sign) X(unary_sin) X(unary_cos) X(unary_softplus) X(unary_log1p) \
  X(unary_expm1) X(unary_logical_not) X(unary_to_integer) X(unary_to_boolean) X(unary_erfc) \
  X(binary_add) X(binary_sub) X(binary_mul) X(binary_div) X(binary_maximum) X(binary_minimum) \
  X(binary_pow) X(binary_eq) X(binary_ne) X(binary_lt) X(binary_le) X(binary_gt) X(binary_ge) \
  X(binary_logical_and) X(binary_logical_or)
// clang-format on

namespace nacre::embed {

#define X(name) extern const Kernel kernel_##name;
NACRE_KERNELS(X)
#undef X

#define X(name) &kernel_##name,
extern const Kernel* const kernels[] = {NACRE_KERNELS(X) nullptr};
#undef X

}  // namespace nacre::embed
