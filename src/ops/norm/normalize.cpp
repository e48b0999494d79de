#include "ops/norm/norm.h"

namespace nacre {
namespace {
struct NormalizeAttrs {
  double p = 2;
  int64_t dim = 1;
  double eps = 1e-12;
  void fields(FieldVisitor& v) {
    v("p", p);
    v("dim", dim);
    v("eps", eps);
  }
};
}  // namespace

/// x / max(||x||_p, eps), the norm taken along one dimension. x: floating, any shape.
API(Tensor normalize(In x, double p = 2, int64_t dim = 1, double eps = 1e-12))

OP(normalize) = {
    .name = "normalize",
    .kind = OpKind::composite,
    .attrs = attr_type<NormalizeAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<NormalizeAttrs>();
          in.check(a.dim >= 0 && a.dim < in.rank(0),
                   {"dim ", a.dim, " is out of range for ", in.rank(0), " dimensions"});
          in.check(a.eps >= 0, {"eps is ", a.eps});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const NormalizeAttrs*>(attrs);
      const Tensor x = wide(in[0]);
      return {cast(x / maximum(norm(x, a.p, {a.dim}, true), a.eps), in[0].dtype())};
    },
    .onnx = "LpNormalization",
    .samples =
        [](Samples& s) {
          const auto by = [](double p, int64_t dim) {
            return [p, dim](const Tensors& x) { return Tensors{normalize(x[0], p, dim)}; };
          };
          s.add({s.uniform({3, 4})}, by(2, 1), "F.normalize({0})");
          s.add({s.uniform({3, 4, 2}, 0.5, 2)}, by(1, 0), "F.normalize({0}, 1, 0)");
          s.add({s.uniform({2, 5}, 0.5, 2)}, by(3, -1), "F.normalize({0}, 3, -1)");
          s.add({s.at({0, 0, 3, 4}, {2, 2})}, by(2, 1), "F.normalize({0})").check_grad = false;
          s.add({s.uniform({0, 4})}, by(2, 1), "F.normalize({0})");
          s.bad({s.uniform({3, 4})}, by(2, 2), "out of range");
        },
};

Tensor normalize(In x, double p, int64_t dim, double eps) {
  return make(op_normalize, NormalizeAttrs{p, normalize_dim(op_normalize, dim, x->rank()), eps},
              {x});
}

}  // namespace nacre
