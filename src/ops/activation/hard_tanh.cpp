#include "ops/op.h"

namespace nacre {
namespace {
struct HardTanhAttrs {
  double min = -1;
  double max = 1;
  void fields(FieldVisitor& v) {
    v("min", min);
    v("max", max);
  }
};
}  // namespace

/// x limited to [min, max], elementwise.
/// x: any shape, floating (integers become f32).
API(Tensor hard_tanh(In x, double min = -1, double max = 1))

OP(hard_tanh) = {
    .name = "hard_tanh",
    .kind = OpKind::composite,
    .attrs = attr_type<HardTanhAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<HardTanhAttrs>();
          in.check(a.min <= a.max, {"min ", a.min, " is above max ", a.max});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const HardTanhAttrs*>(attrs);
      return {clip(in[0], a.min, a.max)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 1.1, 3)},
              [](const Tensors& x) { return Tensors{hard_tanh(x[0])}; }, "F.hardtanh({0})");
          s.add(
              {s.uniform({3, 4}, -0.9, -0.1)},
              [](const Tensors& x) { return Tensors{hard_tanh(x[0])}; }, "F.hardtanh({0})");
          s.add(
              {s.uniform({}, 1.1, 3)}, [](const Tensors& x) { return Tensors{hard_tanh(x[0])}; },
              "F.hardtanh({0})");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{hard_tanh(x[0])}; },
              "F.hardtanh({0})");
          s.add(
               {s.at({-INFINITY, -100, -1e-5, 0, 1e-5, 100, INFINITY, NAN})},
               [](const Tensors& x) { return Tensors{hard_tanh(x[0])}; }, "F.hardtanh({0})")
              .check_grad = false;
          s.add(
              {s.at({-3, -1.5, -0.3, 0.3, 1.5, 3})},
              [](const Tensors& x) { return Tensors{hard_tanh(x[0], -2, 0.5)}; },
              "F.hardtanh({0}, -2, 0.5)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{hard_tanh(x[0], 2, 1)}; },
              "min 2 is above max 1");
        },
};

Tensor hard_tanh(In x, double min, double max) {
  return make(op_hard_tanh, HardTanhAttrs{min, max}, {as_float(x)});
}

}  // namespace nacre
