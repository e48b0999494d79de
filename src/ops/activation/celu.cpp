#include "ops/op.h"

namespace nacre {
namespace {
struct CeluAttrs {
  double alpha = 1;
  void fields(FieldVisitor& v) { v("alpha", alpha); }
};
}  // namespace

/// Continuously differentiable exponential linear unit, elementwise: x where x > 0, else
/// alpha * (e^(x / alpha) - 1) (Barron, 2017). alpha is not 0.
/// x: any shape, floating (integers become f32).
API(Tensor celu(In x, double alpha = 1))

OP(celu) = {
    .name = "celu",
    .kind = OpKind::composite,
    .attrs = attr_type<CeluAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<CeluAttrs>();
          in.check(a.alpha != 0, {"alpha is 0"});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const CeluAttrs*>(attrs);
      const Tensor positive = gt(in[0], 0.0);
      return {where(positive, in[0], expm1(where(positive, 0.0, in[0]) / a.alpha) * a.alpha)};
    },
    .onnx = "Celu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)}, [](const Tensors& x) { return Tensors{celu(x[0])}; },
              "F.celu({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)}, [](const Tensors& x) { return Tensors{celu(x[0])}; },
              "F.celu({0})");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{celu(x[0])}; },
              "F.celu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{celu(x[0])}; },
              "F.celu({0})");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{celu(x[0])}; }, "F.celu({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{celu(x[0], 0.5)}; }, "F.celu({0}, 0.5)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{celu(x[0], 0)}; },
              "alpha is 0");
        },
};

Tensor celu(In x, double alpha) { return make(op_celu, CeluAttrs{alpha}, {as_float(x)}); }

}  // namespace nacre
