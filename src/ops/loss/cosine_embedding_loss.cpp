#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct CosineEmbeddingLossAttrs {
  double margin = 0;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("margin", margin);
    v("reduction", reduction);
  }
};
}  // namespace

/// 1 - cos(a, b) where the target is 1 (alike), max(0, cos(a, b) - margin) where it is -1.
/// a, b: ...xD, floating; target: ..., 1 or -1.
API(Tensor cosine_embedding_loss(In a, In b, In target, double margin = 0,
                                 Reduction reduction = Reduction::mean))

OP(cosine_embedding_loss) = {
    .name = "cosine_embedding_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<CosineEmbeddingLossAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 1 && in.shape(0) == in.shape(1),
                   {"the vectors have different shapes"});
          Shape items = in.shape(0);
          items.erase(items.rank() - 1);
          in.check(in.shape(2) == items,
                   {"targets have shape ", in.shape(2), ", expected ", items});
          infer_loss(in, in.attrs<CosineEmbeddingLossAttrs>().reduction, items);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const CosineEmbeddingLossAttrs*>(attrs);
      const Tensor cosine = cosine_similarity(in[0], in[1], -1);
      return {reduced(where(gt(in[2], 0.0), 1.0 - cosine, relu(cosine - a.margin)), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.1, 1), s.uniform({3, 4}, 0.1, 1), s.ints_at({1, -1, 1}, {3})},
              [](const Tensors& x) { return Tensors{cosine_embedding_loss(x[0], x[1], x[2])}; },
              "F.cosine_embedding_loss({0}, {1}, {2})");
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.ints_at({1, -1, -1}, {3})},
              [](const Tensors& x) {
                return Tensors{cosine_embedding_loss(x[0], x[1], x[2], -1, Reduction::none)};
              },
              "F.cosine_embedding_loss({0}, {1}, {2}, -1.0, reduction='none')");
          s.add(
              {s.uniform({0, 4}), s.uniform({0, 4}), s.uniform({0})},
              [](const Tensors& x) {
                return Tensors{cosine_embedding_loss(x[0], x[1], x[2], 0, Reduction::sum)};
              },
              "F.cosine_embedding_loss({0}, {1}, {2}, reduction='sum')");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 5}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{cosine_embedding_loss(x[0], x[1], x[2])}; },
              "different shapes");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{cosine_embedding_loss(x[0], x[1], x[2])}; },
              "targets have shape 2");
        },
};

Tensor cosine_embedding_loss(In a, In b, In target, double margin, Reduction reduction) {
  const auto [x, y] = unify_float(a, b);
  return make(op_cosine_embedding_loss, CosineEmbeddingLossAttrs{margin, number_of(reduction)},
              {x, y, unify_float(x, target).second});
}

}  // namespace nacre
