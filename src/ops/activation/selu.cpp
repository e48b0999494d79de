#include "ops/op.h"

namespace nacre {

/// Scaled exponential linear unit, elementwise: 1.0507 * elu(x, 1.6733), whose constants keep mean
/// 0 and variance 1 (Klambauer et al., 2017). x: any shape, floating (integers become f32).
API(Tensor selu(In x))

OP(selu) = {
    .name = "selu",
    .kind = OpKind::composite,
    .infer = infer_same_float,
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      constexpr double alpha = 1.6732632423543772848, scale = 1.0507009873554804934;
      return {elu(in[0], alpha) * scale};
    },
    .onnx = "Selu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{selu(x[0])}; },
              "F.selu({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{selu(x[0])}; },
              "F.selu({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{selu(x[0])}; },
              "F.selu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{selu(x[0])}; },
              "F.selu({0})");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{selu(x[0])}; }, "F.selu({0})")
              .check_grad = false;
        },
};

Tensor selu(In x) { return make(op_selu, {as_float(x)}); }

}  // namespace nacre
