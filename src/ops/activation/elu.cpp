#include "ops/op.h"

namespace nacre {
namespace {
struct EluAttrs {
  double alpha = 1;
  void fields(FieldVisitor& v) { v("alpha", alpha); }
};
}  // namespace

/// Exponential linear unit, elementwise: x where x > 0, else alpha * (e^x - 1) (Clevert et al.,
/// 2016). x: any shape, floating (integers become f32).
API(Tensor elu(In x, double alpha = 1))

OP(elu) = {
    .name = "elu",
    .kind = OpKind::composite,
    .attrs = attr_type<EluAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const EluAttrs*>(attrs);
      const Tensor positive = gt(in[0], 0.0);
      return {where(positive, in[0], expm1(where(positive, 0.0, in[0])) * a.alpha)};
    },
    .onnx = "Elu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{elu(x[0])}; },
              "F.elu({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{elu(x[0])}; },
              "F.elu({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{elu(x[0])}; },
              "F.elu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{elu(x[0])}; },
              "F.elu({0})");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{elu(x[0])}; }, "F.elu({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{elu(x[0], 0.5)}; }, "F.elu({0}, 0.5)");
        },
};

Tensor elu(In x, double alpha) { return make(op_elu, EluAttrs{alpha}, {as_float(x)}); }

}  // namespace nacre
