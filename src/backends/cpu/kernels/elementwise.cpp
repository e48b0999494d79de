// Elementwise ops, each a program of one step.
#include "backends/cpu/elementwise/program.h"
#include "backends/cpu/kernel_macros.h"
#include "nacre/op.h"

namespace nacre::cpu {
namespace {

std::unique_ptr<Kernel> single(const KernelQuery& q) {
  ProgramStep step{q.op.name, {}, q.out[0].dtype, 0};
  for (size_t i = 0; i < q.in.size(); ++i) step.in.push_back(static_cast<int>(i));
  if (step.op == "polygamma") step.order = q.integer("n");
  const int outputs[] = {0};
  return make_elementwise({&step, 1}, outputs, q.in, q.out);
}

}  // namespace

// clang-format off
KERNEL(exp) { return single(q); }
KERNEL(exp2) { return single(q); }
KERNEL(expm1) { return single(q); }
KERNEL(log) { return single(q); }
KERNEL(log2) { return single(q); }
KERNEL(log10) { return single(q); }
KERNEL(log1p) { return single(q); }
KERNEL(sqrt) { return single(q); }
KERNEL(rsqrt) { return single(q); }
KERNEL(cbrt) { return single(q); }
KERNEL(sin) { return single(q); }
KERNEL(cos) { return single(q); }
KERNEL(tan) { return single(q); }
KERNEL(asin) { return single(q); }
KERNEL(acos) { return single(q); }
KERNEL(atan) { return single(q); }
KERNEL(sinh) { return single(q); }
KERNEL(cosh) { return single(q); }
KERNEL(tanh) { return single(q); }
KERNEL(asinh) { return single(q); }
KERNEL(acosh) { return single(q); }
KERNEL(atanh) { return single(q); }
KERNEL(erf) { return single(q); }
KERNEL(erfc) { return single(q); }
KERNEL(erfinv) { return single(q); }
KERNEL(lgamma) { return single(q); }
KERNEL(digamma) { return single(q); }
KERNEL(polygamma) { return single(q); }
KERNEL(sigmoid) { return single(q); }
KERNEL(softplus) { return single(q); }
KERNEL(log_sigmoid) { return single(q); }
KERNEL(reciprocal) { return single(q); }
KERNEL(neg) { return single(q); }
KERNEL(abs) { return single(q); }
KERNEL(sign) { return single(q); }
KERNEL(square) { return single(q); }
KERNEL(relu) { return single(q); }
KERNEL(floor) { return single(q); }
KERNEL(ceil) { return single(q); }
KERNEL(round) { return single(q); }
KERNEL(trunc) { return single(q); }
KERNEL(div) { return single(q); }
KERNEL(atan2) { return single(q); }
KERNEL(hypot) { return single(q); }
KERNEL(copysign) { return single(q); }
KERNEL(add) { return single(q); }
KERNEL(sub) { return single(q); }
KERNEL(mul) { return single(q); }
KERNEL(floor_div) { return single(q); }
KERNEL(remainder) { return single(q); }
KERNEL(fmod) { return single(q); }
KERNEL(pow) { return single(q); }
KERNEL(maximum) { return single(q); }
KERNEL(minimum) { return single(q); }
KERNEL(eq) { return single(q); }
KERNEL(ne) { return single(q); }
KERNEL(lt) { return single(q); }
KERNEL(le) { return single(q); }
KERNEL(gt) { return single(q); }
KERNEL(ge) { return single(q); }
KERNEL(isnan) { return single(q); }
KERNEL(isinf) { return single(q); }
KERNEL(isfinite) { return single(q); }
KERNEL(logical_and) { return single(q); }
KERNEL(logical_or) { return single(q); }
KERNEL(logical_xor) { return single(q); }
KERNEL(bitwise_and) { return single(q); }
KERNEL(bitwise_or) { return single(q); }
KERNEL(bitwise_xor) { return single(q); }
KERNEL(shift_left) { return single(q); }
KERNEL(shift_right) { return single(q); }
KERNEL(bitwise_not) { return single(q); }
KERNEL(logical_not) { return single(q); }
KERNEL(where) { return single(q); }
KERNEL(cast) { return single(q); }
// clang-format on

}  // namespace nacre::cpu
