#include "ops/op.h"

#include <numbers>

namespace nacre {
namespace {
struct GeluAttrs {
  std::string approximate = "none";
  void fields(FieldVisitor& v) { v("approximate", approximate); }
};
}  // namespace

/// Gaussian error linear unit, elementwise: x * P(N(0, 1) <= x) (Hendrycks and Gimpel, 2016).
/// approximate: "none", or "tanh" for 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). x: any
/// shape, floating (integers become f32).
API(Tensor gelu(In x, const std::string& approximate = "none"))

OP(gelu) = {
    .name = "gelu",
    .kind = OpKind::composite,
    .attrs = attr_type<GeluAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<GeluAttrs>();
          in.check(a.approximate == "none" || a.approximate == "tanh",
                   {"approximate is '", a.approximate, "', either none or tanh is possible"});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const GeluAttrs*>(attrs);
      const Tensor& x = in[0];
      if (a.approximate == "tanh") {
        const double c = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
        return {x * 0.5 * (tanh(c * (x + 0.044715 * x * square(x))) + 1.0)};
      }
      return {x * 0.5 * erfc(x * (-1 / std::numbers::sqrt2))};
    },
    .onnx = "Gelu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)}, [](const Tensors& x) { return Tensors{gelu(x[0])}; },
              "F.gelu({0})");
          s.add(
              {s.uniform({3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{gelu(x[0], "tanh")}; },
              "F.gelu({0}, approximate='tanh')");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{gelu(x[0])}; }, "F.gelu({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{gelu(x[0])}; },
              "F.gelu({0})");
          s.add(
               {s.at({0, -0.0, 1e-5, 20, -20, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{gelu(x[0])}; }, "F.gelu({0})")
              .check_grad = false;
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{gelu(x[0], "exact")}; },
              "approximate is 'exact'");
        },
};

Tensor gelu(In x, const std::string& approximate) {
  return make(op_gelu, GeluAttrs{approximate}, {as_float(x)});
}

}  // namespace nacre
