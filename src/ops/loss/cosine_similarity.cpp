#include "ops/op.h"

namespace nacre {
namespace {
struct CosineSimilarityAttrs {
  int64_t dim = 0;
  double eps = 1e-8;
  void fields(FieldVisitor& v) {
    v("dim", dim);
    v("eps", eps);
  }
};
}  // namespace

/// Cosine of the angle between vectors along one dimension: a . b / (max(|a|, eps) max(|b|, eps)).
/// a, b: shapes that broadcast, floating. Returns the shape without that dimension.
API(Tensor cosine_similarity(In a, In b, int64_t dim = -1, double eps = 1e-8))

OP(cosine_similarity) = {
    .name = "cosine_similarity",
    .kind = OpKind::composite,
    .attrs = attr_type<CosineSimilarityAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<CosineSimilarityAttrs>();
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check_float(0);
          in.check(a.eps > 0, {"eps ", a.eps, " is not positive"});
          infer_broadcast(in);
          in.out_shape(0).erase(a.dim);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const CosineSimilarityAttrs*>(attrs);
      const Shape shape = broadcast_shapes(in[0].shape(), in[1].shape());
      const Tensor x = expand(in[0], shape), y = expand(in[1], shape);
      const double eps = in[0].dtype() == DType::f16 ? std::max(a.eps, 0x1p-14) : a.eps;
      const auto length = [&](const Tensor& t) { return maximum(norm(t, 2, {a.dim}), eps); };
      return {sum(x * y, {a.dim}) / length(x) / length(y)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1])}; },
              "F.cosine_similarity({0}, {1}, -1)");
          s.add(
              {s.uniform({2, 4, 3}), s.uniform({4, 1})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1], 1)}; },
              "F.cosine_similarity({0}, {1}, 1)");
          s.add(
              {s.uniform({5}), s.uniform({5})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1], 0)}; },
              "F.cosine_similarity({0}, {1}, 0)");
          s.add(
              {s.uniform({0, 3}), s.uniform({0, 3})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1])}; },
              "F.cosine_similarity({0}, {1}, -1)");
          s.add(
               {s.at({0, 0, 1, 0}, {2, 2}), s.at({1, 2, -3, 0}, {2, 2})},
               [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1])}; },
               "F.cosine_similarity({0}, {1}, -1)")
              .check_grad = false;
          s.bad(
              {s.uniform({3}), s.uniform({4})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1])}; },
              "do not broadcast");
          s.bad(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1], 1)}; },
              "out of range");
          s.bad(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{cosine_similarity(x[0], x[1], 0, 0)}; },
              "eps 0 is not positive");
        },
};

Tensor cosine_similarity(In a, In b, int64_t dim, double eps) {
  const auto [x, y] = unify_float(a, b);
  const int64_t rank = std::max(x.rank(), y.rank());
  return make(op_cosine_similarity,
              CosineSimilarityAttrs{normalize_dim(op_cosine_similarity, dim, rank), eps}, {x, y});
}

}  // namespace nacre
