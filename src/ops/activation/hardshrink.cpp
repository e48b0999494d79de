#include "ops/op.h"

namespace nacre {
namespace {
struct HardshrinkAttrs {
  double lambda = 0.5;
  void fields(FieldVisitor& v) { v("lambda", lambda); }
};
}  // namespace

/// Hard shrinkage, elementwise: x where |x| > lambda, else 0. lambda >= 0.
/// x: any shape, floating (integers become f32).
API(Tensor hardshrink(In x, double lambda = 0.5))

OP(hardshrink) = {
    .name = "hardshrink",
    .kind = OpKind::composite,
    .attrs = attr_type<HardshrinkAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<HardshrinkAttrs>();
          in.check(a.lambda >= 0, {"lambda ", a.lambda, " is negative"});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const HardshrinkAttrs*>(attrs);
      return {where(le(abs(in[0]), a.lambda), 0.0, in[0])};
    },
    .onnx = "Shrink",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.6, 3)},
              [](const Tensors& x) { return Tensors{hardshrink(x[0])}; }, "F.hardshrink({0})");
          s.add(
              {s.uniform({3, 4}, -3, -0.6)},
              [](const Tensors& x) { return Tensors{hardshrink(x[0])}; }, "F.hardshrink({0})");
          s.add(
              {s.uniform({}, 0.6, 3)}, [](const Tensors& x) { return Tensors{hardshrink(x[0])}; },
              "F.hardshrink({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{hardshrink(x[0])}; },
              "F.hardshrink({0})");
          s.add(
               {s.at({-2, -0.4, 0.4, 0.5, -0.5, 0, 2, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{hardshrink(x[0])}; }, "F.hardshrink({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{hardshrink(x[0], 1)}; },
              "F.hardshrink({0}, 1)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{hardshrink(x[0], -1)}; },
              "lambda -1 is negative");
        },
};

Tensor hardshrink(In x, double lambda) {
  return make(op_hardshrink, HardshrinkAttrs{lambda}, {as_float(x)});
}

}  // namespace nacre
