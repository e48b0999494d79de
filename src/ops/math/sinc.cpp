#include "ops/op.h"

#include <numbers>

namespace nacre {

/// sin(pi x) / (pi x), elementwise, 1 at 0.
/// x: any shape, floating (integers become f32).
API(Tensor sinc(In x))

OP(sinc) = {
    .name = "sinc",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor t = in[0] * std::numbers::pi;
      const Tensor small = lt(abs(t), 0.5);
      // A series near 0, so that derivatives are right there too.
      const Tensor u = square(where(small, t, 0.0));
      Tensor series = 1.0 - u / 210.0;
      for (double c : {156.0, 110.0, 72.0, 42.0, 20.0, 6.0}) series = 1.0 - u / c * series;
      const Tensor far = where(small, 1.0, t);
      return {where(small, series, sin(far) / far)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)}, [](const Tensors& x) { return Tensors{sinc(x[0])}; },
              "torch.sinc({0})");
          s.add(
              {s.at({0, 0.01, -0.1, 0.15, 1.2})},
              [](const Tensors& x) { return Tensors{sinc(x[0])}; }, "torch.sinc({0})");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{sinc(x[0])}; },
              "torch.sinc({0})");
          s.add(
              {s.uniform({0})}, [](const Tensors& x) { return Tensors{sinc(x[0])}; },
              "torch.sinc({0})");
          s.add(
               {s.at({-0.0, 1, 2, NAN})}, [](const Tensors& x) { return Tensors{sinc(x[0])}; },
               "torch.sinc({0})")
              .check_grad = false;
        },
};

Tensor sinc(In x) { return make(op_sinc, {as_float(x)}); }

}  // namespace nacre
