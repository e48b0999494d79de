#include "ops/op.h"

namespace nacre {
namespace {
struct ClipAttrs {
  double min = -INFINITY;
  double max = INFINITY;
  void fields(FieldVisitor& v) {
    v("min", min);
    v("max", max);
  }
};
}  // namespace

/// Limits values to [min, max], elementwise. Either bound may be infinite (no bound); NaN stays
/// NaN. The gradient passes where min <= x <= max. x: any shape and numeric type; for integers the
/// bounds are rounded inwards.
API(Tensor clip(In x, double min = -INFINITY, double max = INFINITY))

OP(clip) = {
    .name = "clip",
    .kind = OpKind::composite,
    .attrs = attr_type<ClipAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ClipAttrs>();
          in.check(a.min <= a.max, {"min ", a.min, " is above max ", a.max});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ClipAttrs*>(attrs);
      Tensor y = in[0];
      const DType t = y.dtype();
      const bool whole = !is_float(t);
      if (a.min > -INFINITY) y = maximum(y, Tensor::scalar(whole ? std::ceil(a.min) : a.min, t));
      if (a.max < INFINITY) y = minimum(y, Tensor::scalar(whole ? std::floor(a.max) : a.max, t));
      return {same(y, in[0]) ? identity(y) : y};
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<ClipAttrs>();
          const Tensor inside = logical_and(ge(v.x(0), a.min), le(v.x(0), a.max));
          v.dx(0) = where(inside, v.dy(), 0.0);
        },
    .onnx = "Clip",
    .samples =
        [](Samples& s) {
          s.add(
              {s.at({-2, -0.7, -0.2, 0.3, 0.9, 3})},
              [](const Tensors& x) { return Tensors{clip(x[0], -0.5, 0.5)}; },
              "torch.clamp({0}, -0.5, 0.5)");
          s.add(
              {s.at({-2, -0.7, 0.2, 3})}, [](const Tensors& x) { return Tensors{clip(x[0], 0)}; },
              "torch.clamp({0}, min=0)");
          s.add(
              {s.at({-2, -0.7, 0.2, 3})},
              [](const Tensors& x) { return Tensors{clip(x[0], -INFINITY, 0.1)}; },
              "torch.clamp({0}, max=0.1)");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{clip(x[0])}; }, "{0}");
          s.add(
              {s.uniform({0, 2})}, [](const Tensors& x) { return Tensors{clip(x[0], 0, 1)}; },
              "torch.clamp({0}, 0, 1)");
          s.add(
               {s.at({NAN, INFINITY, -INFINITY, 1})},
               [](const Tensors& x) { return Tensors{clip(x[0], -1, 1)}; },
               "torch.clamp({0}, -1, 1)")
              .check_grad = false;
          s.add(
              {s.integers({9}, -9, 9)}, [](const Tensors& x) { return Tensors{clip(x[0], -3, 4)}; },
              "torch.clamp({0}, -3, 4)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{clip(x[0], 1, 0)}; },
              "min 1 is above max 0");
        },
};

Tensor clip(In x, double min, double max) { return make(op_clip, ClipAttrs{min, max}, {x}); }

}  // namespace nacre
