#include "ops/op.h"

namespace nacre {
namespace {
struct IscloseAttrs {
  double rtol = 1e-5, atol = 1e-8;
  bool equal_nan = false;
  void fields(FieldVisitor& v) {
    v("rtol", rtol);
    v("atol", atol);
    v("equal_nan", equal_nan);
  }
};
}  // namespace

/// True where |a - b| <= atol + rtol * |b|, elementwise. Infinities are close to themselves only,
/// NaNs to nothing (to each other with equal_nan).
/// a, b: any types (promoted; integers are compared as f32) and shapes that broadcast.
API(Tensor isclose(In a, In b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false))
/// True if isclose holds for all elements. Evaluates.
API(bool allclose(In a, In b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false))

OP(isclose) = {
    .name = "isclose",
    .kind = OpKind::composite,
    .attrs = attr_type<IscloseAttrs>(),
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check_float(0);
          const auto& a = in.attrs<IscloseAttrs>();
          in.check(a.rtol >= 0 && a.atol >= 0,
                   {"tolerances cannot be negative (rtol ", a.rtol, ", atol ", a.atol, ")"});
          infer_compare(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const IscloseAttrs*>(attrs);
      const Tensor finite = logical_and(isfinite(in[0]), isfinite(in[1]));
      const Tensor near = le(abs(in[0] - in[1]), abs(in[1]) * a.rtol + a.atol);
      Tensor y = logical_or(eq(in[0], in[1]), logical_and(finite, near));
      if (a.equal_nan) y = logical_or(y, logical_and(isnan(in[0]), isnan(in[1])));
      return {y};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{isclose(x[0], x[1])}; };
          s.add({s.at({1, 1, 1, NAN, INFINITY, INFINITY, 0}),
                 s.at({1, 1.1, 1.000001, NAN, INFINITY, 1e30, -0.0})},
                call, "torch.isclose({0}, {1})");
          s.add(
              {s.at({1, NAN, NAN}), s.at({1.4, NAN, 1})},
              [](const Tensors& x) { return Tensors{isclose(x[0], x[1], 0, 0.5, true)}; },
              "torch.isclose({0}, {1}, rtol=0, atol=0.5, equal_nan=True)");
          s.add({s.uniform({3, 1}), s.uniform({0})}, call, "torch.isclose({0}, {1})");
          s.bad({s.uniform({2, 3}), s.uniform({4})}, call, "do not broadcast");
          s.bad(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{isclose(x[0], x[1], -1)}; }, "negative");
        },
};

Tensor isclose(In a, In b, double rtol, double atol, bool equal_nan) {
  const auto [x, y] = unify_float(a, b);
  return make(op_isclose, IscloseAttrs{rtol, atol, equal_nan}, {x, y});
}

bool allclose(In a, In b, double rtol, double atol, bool equal_nan) {
  return all(isclose(a, b, rtol, atol, equal_nan)).item_int() != 0;
}

}  // namespace nacre
