// An op defined outside the library: reference, gradient, use in training.
#include <cmath>
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/op.h"
#include "nacre/ops.h"

using namespace nacre;

Tensor bell(In x);

// exp(-x^2), with its derivative -2 x exp(-x^2).
const OpDef op_bell = {
    .name = "bell",
    .infer = infer_same_float,
    .ref =
        [](Ref& r) {
          for (int64_t i = 0; i < r.out().n; ++i)
            r.out().d[i] = std::exp(-r.in().d[i] * r.in().d[i]);
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * -2.0 * v.x(0) * bell(v.x(0)); },
};

Tensor bell(In x) { return make(op_bell, {x}); }

int main() {
  register_op(op_bell);
  const Tensor x = Tensor::from({-1.0, 0.0, 0.5}, {3});
  const auto slope = grad(sum(bell(x)), {x})[0].to_vector<double>();
  const double h = 1e-6;
  for (size_t i = 0; i < 3; ++i) {
    const double at = x.to_vector<double>()[i];
    const double central =
        (std::exp(-(at + h) * (at + h)) - std::exp(-(at - h) * (at - h))) / (2 * h);
    std::printf("x %5.2f  gradient %.6f  central difference %.6f\n", at, slope[i], central);
  }
  Tensor p = Tensor::scalar(0.9, DType::f64);  // climb to the top of the bell
  for (int step = 0; step < 60; ++step) {
    p = stop_gradient(p + 0.2 * grad(bell(p), {p})[0]);
    eval(p);
  }
  std::printf("top of the bell at %.4f\n", p.item());
}
