#include "ops/op.h"

namespace nacre {
namespace {
struct LeakyReluAttrs {
  double slope = 0.01;
  void fields(FieldVisitor& v) { v("slope", slope); }
};
}  // namespace

/// Leaky rectified linear unit, elementwise: x where x > 0, else slope * x (Maas et al., 2013).
/// x: any shape, floating (integers become f32).
API(Tensor leaky_relu(In x, double slope = 0.01))

OP(leaky_relu) = {
    .name = "leaky_relu",
    .kind = OpKind::composite,
    .attrs = attr_type<LeakyReluAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const LeakyReluAttrs*>(attrs);
      return {where(gt(in[0], 0.0), in[0], in[0] * a.slope)};
    },
    .onnx = "LeakyRelu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)},
              [](const Tensors& x) { return Tensors{leaky_relu(x[0])}; }, "F.leaky_relu({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)},
              [](const Tensors& x) { return Tensors{leaky_relu(x[0])}; }, "F.leaky_relu({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{leaky_relu(x[0])}; },
              "F.leaky_relu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{leaky_relu(x[0])}; },
              "F.leaky_relu({0})");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{leaky_relu(x[0])}; }, "F.leaky_relu({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{leaky_relu(x[0], 0.3)}; },
              "F.leaky_relu({0}, 0.3)");
        },
};

Tensor leaky_relu(In x, double slope) {
  return make(op_leaky_relu, LeakyReluAttrs{slope}, {as_float(x)});
}

}  // namespace nacre
