#include "ops/op.h"

namespace nacre {
namespace {
struct ThresholdAttrs {
  double threshold = 0;
  double value = 0;
  void fields(FieldVisitor& v) {
    v("threshold", threshold);
    v("value", value);
  }
};
}  // namespace

/// x where x > threshold, else value, elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor threshold(In x, double threshold = 0, double value = 0))

OP(threshold) = {
    .name = "threshold",
    .kind = OpKind::composite,
    .attrs = attr_type<ThresholdAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ThresholdAttrs*>(attrs);
      return {where(le(in[0], a.threshold), a.value, in[0])};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 3)},
              [](const Tensors& x) { return Tensors{threshold(x[0])}; }, "F.threshold({0}, 0, 0)");
          s.add(
              {s.uniform({3, 4}, -3, -0.2)},
              [](const Tensors& x) { return Tensors{threshold(x[0])}; }, "F.threshold({0}, 0, 0)");
          s.add(
              {s.uniform({}, 0.2, 3)}, [](const Tensors& x) { return Tensors{threshold(x[0])}; },
              "F.threshold({0}, 0, 0)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{threshold(x[0])}; },
              "F.threshold({0}, 0, 0)");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{threshold(x[0])}; }, "F.threshold({0}, 0, 0)")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{threshold(x[0], 1, 20)}; },
              "F.threshold({0}, 1, 20)");
        },
};

Tensor threshold(In x, double threshold, double value) {
  return make(op_threshold, ThresholdAttrs{threshold, value}, {as_float(x)});
}

}  // namespace nacre
