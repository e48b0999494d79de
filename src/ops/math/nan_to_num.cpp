#include "ops/op.h"

namespace nacre {
namespace {
struct NanToNumAttrs {
  double nan = 0;
  double posinf = INFINITY;
  double neginf = -INFINITY;
  void fields(FieldVisitor& v) {
    v("nan", nan);
    v("posinf", posinf);
    v("neginf", neginf);
  }
};

double largest(DType t) {
  return t == DType::f64    ? 1.7976931348623157e308
         : t == DType::f16  ? 65504.0
         : t == DType::bf16 ? 0x1.fep127
                            : 0x1.fffffep127;
}
}  // namespace

/// Replaces NaN, inf and -inf, elementwise. By default infinities become the largest finite numbers
/// of the type of x. The gradient is 0 where something was replaced. x: any shape, floating.
API(Tensor nan_to_num(In x, double nan = 0, double posinf = INFINITY, double neginf = -INFINITY))

OP(nan_to_num) = {
    .name = "nan_to_num",
    .kind = OpKind::composite,
    .attrs = attr_type<NanToNumAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const NanToNumAttrs*>(attrs);
      const double top = largest(in[0].dtype());
      const Tensor high = eq(in[0], INFINITY), low = eq(in[0], -INFINITY);
      Tensor y = where(isnan(in[0]), a.nan, in[0]);
      y = where(high, std::min(a.posinf, top), y);
      return {where(low, std::max(a.neginf, -top), y)};
    },
    .samples =
        [](Samples& s) {
          s.add(
               {s.at({NAN, 1, INFINITY, -INFINITY, -2})},
               [](const Tensors& x) { return Tensors{nan_to_num(cast(x[0], DType::f32))}; },
               "torch.nan_to_num({0}.float())")
              .check_grad = false;
          s.add(
               {s.at({NAN, 1, INFINITY, -INFINITY, -2})},
               [](const Tensors& x) { return Tensors{nan_to_num(x[0], 7, 8, -9)}; },
               "torch.nan_to_num({0}, 7, 8, -9)")
              .check_grad = false;
          s.add(
              {s.uniform({3, 4})}, [](const Tensors& x) { return Tensors{nan_to_num(x[0])}; },
              "torch.nan_to_num({0})");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{nan_to_num(x[0])}; },
              "torch.nan_to_num({0})");
          s.add(
              {s.uniform({0})}, [](const Tensors& x) { return Tensors{nan_to_num(x[0])}; },
              "torch.nan_to_num({0})");
          s.bad(
              {s.integers({3}, 0, 9)}, [](const Tensors& x) { return Tensors{nan_to_num(x[0])}; },
              "floating type");
        },
};

Tensor nan_to_num(In x, double nan, double posinf, double neginf) {
  return make(op_nan_to_num, NanToNumAttrs{nan, posinf, neginf}, {x});
}

}  // namespace nacre
