#include "ops/math/special.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct PolygammaAttrs {
  int64_t n = 0;
  void fields(FieldVisitor& v) { v("n", n); }
};
constexpr int64_t kLargestOrder = 100;  // gamma(n + 1) and its like leave the range of double
}  // namespace

/// n-th derivative of digamma, elementwise; n in 0..98. Infinite or NaN at 0 and the negative
/// integers. x: any shape, floating (integers become f32).
API(Tensor polygamma(int64_t n, In x))

OP(polygamma) = {
    .name = "polygamma",
    .kind = OpKind::elementwise,
    .attrs = attr_type<PolygammaAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t n = in.attrs<PolygammaAttrs>().n;
          in.check(n >= 0 && n <= kLargestOrder, {"order ", n, " is not in 0..", kLargestOrder});
          infer_same_float(in);
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.attrs<PolygammaAttrs>().n;
          for (int64_t k = 0; k < r.out().n; ++k) r.out().d[k] = special::polygamma(n, r.in().d[k]);
        },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() * polygamma(v.attrs<PolygammaAttrs>().n + 1, v.x(0)); },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t n) {
            return [n](const Tensors& x) { return Tensors{polygamma(n, x[0])}; };
          };
          s.add({s.uniform({3, 4}, 0.5, 5)}, call(1), "torch.polygamma(1, {0})");
          s.add({s.uniform({5}, 0.5, 5)}, call(2), "torch.polygamma(2, {0})");
          s.add({s.uniform({}, 0.5, 5)}, call(0), "torch.polygamma(0, {0})");
          s.add({s.uniform({0, 2}, 0.5, 5)}, call(3), "torch.polygamma(3, {0})");
          s.add({s.at({0.1, 1, 20, 1000, -0.5, -1.25, INFINITY, NAN})}, call(1),
                "torch.polygamma(1, {0})")
              .check_grad = false;
          s.bad({s.uniform({3})}, call(-1), "order -1 is not in 0..100");
        },
};

Tensor polygamma(int64_t n, In x) { return make(op_polygamma, PolygammaAttrs{n}, {as_float(x)}); }

}  // namespace nacre
