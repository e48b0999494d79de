#include "ops/op.h"

namespace nacre {
namespace {
struct SoftshrinkAttrs {
  double lambda = 0.5;
  void fields(FieldVisitor& v) { v("lambda", lambda); }
};
}  // namespace

/// Soft shrinkage, elementwise: x moved toward 0 by lambda, 0 within. lambda >= 0.
/// x: any shape, floating (integers become f32).
API(Tensor softshrink(In x, double lambda = 0.5))

OP(softshrink) = {
    .name = "softshrink",
    .kind = OpKind::composite,
    .attrs = attr_type<SoftshrinkAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<SoftshrinkAttrs>();
          in.check(a.lambda >= 0, {"lambda ", a.lambda, " is negative"});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const SoftshrinkAttrs*>(attrs);
      const Tensor high = gt(in[0], a.lambda), low = lt(in[0], -a.lambda);
      return {where(high, in[0] - a.lambda, where(low, in[0] + a.lambda, in[0] * 0.0))};
    },
    .onnx = "Shrink",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.6, 3)},
              [](const Tensors& x) { return Tensors{softshrink(x[0])}; }, "F.softshrink({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.6)},
              [](const Tensors& x) { return Tensors{softshrink(x[0])}; }, "F.softshrink({0})");
          s.add(
              {s.uniform({}, 0.6, 3)}, [](const Tensors& x) { return Tensors{softshrink(x[0])}; },
              "F.softshrink({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{softshrink(x[0])}; },
              "F.softshrink({0})");
          s.add(
               {s.at({-2, -0.4, 0.4, 0, 2})},
               [](const Tensors& x) { return Tensors{softshrink(x[0])}; }, "F.softshrink({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{softshrink(x[0], 1)}; },
              "F.softshrink({0}, 1)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{softshrink(x[0], -1)}; },
              "lambda -1 is negative");
        },
};

Tensor softshrink(In x, double lambda) {
  return make(op_softshrink, SoftshrinkAttrs{lambda}, {as_float(x)});
}

}  // namespace nacre
