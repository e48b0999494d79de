#include "ops/op.h"

namespace nacre {
namespace {
struct CastAttrs {
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) { v("dtype", dtype); }
};
}  // namespace

/// Converts to another element type. Floating to integer truncates toward zero and saturates, NaN
/// gives 0; anything to bool is x != 0. Integer to narrower integer keeps the low bits. x: any
/// shape and type.
API(Tensor cast(In x, DType dtype))

OP(cast) = {
    .name = "cast",
    .kind = OpKind::elementwise,
    .attrs = attr_type<CastAttrs>(),
    .infer = [](Infer& in) { in.out(in.attrs<CastAttrs>().dtype, in.shape(0)); },
    .ref =
        [](Ref& r) {
          const RefTensor& x = r.in();
          RefTensor& y = r.out();
          constexpr double limits[][2] = {
              {-128, 127}, {0, 255}, {-2147483648.0, 2147483647.0}, {-0x1p63, 0x1p63}};
          for (int64_t k = 0; k < y.n; ++k) {
            if (y.floating()) {
              y.d[k] = x.floating() ? x.d[k] : static_cast<double>(x.i[k]);
            } else if (y.dtype == DType::boolean) {
              y.i[k] = x.floating() ? x.d[k] != 0 : x.i[k] != 0;
            } else if (!x.floating()) {
              y.i[k] = x.i[k];
            } else {
              const auto& [low, high] =
                  limits[static_cast<int>(y.dtype) - static_cast<int>(DType::i8)];
              const double v = std::trunc(x.d[k]);
              y.i[k] = std::isnan(v) ? 0
                       : v >= 0x1p63 ? INT64_MAX
                                     : static_cast<int64_t>(std::min(std::max(v, low), high));
            }
          }
        },
    .vjp = [](Vjp& v) { v.dx(0) = cast(v.dy(), v.x(0).dtype()); },
    .onnx = "Cast",
    .samples =
        [](Samples& s) {
          const auto to = [](DType t) {
            return [t](const Tensors& x) { return Tensors{cast(x[0], t)}; };
          };
          s.add({s.uniform({3, 4})}, to(DType::f64), "{0}.double()");
          s.add({s.uniform({3, 4})}, to(DType::f32), "{0}.float()");
          s.add({s.at({-2.7, -0.5, 0, 0.5, 2.7})}, to(DType::i64), "{0}.long()");
          s.add({s.at({-2.7, 0, 2.7, NAN})}, to(DType::boolean), "{0}.bool()");
          s.add({s.at({-1e20, 300, 1e20, NAN})}, to(DType::u8)).oracle =
              "saturation is our rule, checked against the reference";
          s.add({s.integers({6}, -300, 300)}, to(DType::i8), "{0}.to(torch.int8)");
          s.add({s.boolean({6})}, to(DType::f32), "{0}.float()");
        },
};

Tensor cast(In x, DType dtype) {
  if (x->dtype() == dtype) return x;
  return make(op_cast, CastAttrs{dtype}, {x});
}

}  // namespace nacre
