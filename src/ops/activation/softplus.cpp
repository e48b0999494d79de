#include "ops/op.h"

namespace nacre {

/// log(1 + e^(beta x)) / beta, elementwise: a smooth relu, exact far out on both sides. beta is not
/// 0. x: any shape, floating (integers become f32).
API(Tensor softplus(In x, double beta = 1))

OP(softplus) = {
    .name = "softplus",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 =
        [](double x) {
          return std::isnan(x) ? x : std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * sigmoid(v.x(0)); },
    .onnx = "Softplus",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)}, [](const Tensors& x) { return Tensors{softplus(x[0])}; },
              "F.softplus({0})");
          s.add(
              {s.uniform({3, 4}, -3, 3)},
              [](const Tensors& x) {
                return Tensors{softplus(x[0], 0.5), softplus(x[0], -2)};
              },
              "(F.softplus({0}, 0.5), -torch.log1p(torch.exp(-2 * {0})) / 2)");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{softplus(x[0])}; },
              "F.softplus({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{softplus(x[0])}; },
              "F.softplus({0})");
          s.add(
               {s.at({-INFINITY, -100, 0, 100, 1e30, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{softplus(x[0])}; },
               "torch.logaddexp({0}, torch.zeros_like({0}))")
              .check_grad = false;
        },
};

Tensor softplus(In x, double beta) {
  const Tensor t = as_float(x);
  return beta == 1 ? make(op_softplus, {t}) : make(op_softplus, {t * beta}) / beta;
}

}  // namespace nacre
