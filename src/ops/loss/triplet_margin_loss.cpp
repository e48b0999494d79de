#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct TripletMarginLossAttrs {
  double margin = 1;
  double p = 2;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("margin", margin);
    v("p", p);
    v("reduction", reduction);
  }
};
}  // namespace

/// max(0, d(anchor, positive) - d(anchor, negative) + margin) with the p-norm distance d of the
/// last dimension, to which 1e-6 is added before the norm so that gradients exist at 0. anchor,
/// positive, negative: one shape ...xD, floating.
API(Tensor triplet_margin_loss(In anchor, In positive, In negative, double margin = 1, double p = 2,
                               Reduction reduction = Reduction::mean))

OP(triplet_margin_loss) = {
    .name = "triplet_margin_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<TripletMarginLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<TripletMarginLossAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 1 && in.shape(0) == in.shape(1) && in.shape(0) == in.shape(2),
                   {"the vectors have different shapes"});
          in.check(a.p > 0, {"p ", a.p, " is not positive"});
          Shape items = in.shape(0);
          items.erase(items.rank() - 1);
          infer_loss(in, a.reduction, items);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const TripletMarginLossAttrs*>(attrs);
      const auto distance = [&](size_t i) { return norm(in[0] - in[i] + 1e-6, a.p, {-1}); };
      return {reduced(relu(distance(1) - distance(2) + a.margin), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({3, 4})},
              [](const Tensors& x) { return Tensors{triplet_margin_loss(x[0], x[1], x[2], 4)}; },
              "F.triplet_margin_loss({0}, {1}, {2}, 4.0)");
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{triplet_margin_loss(x[0], x[1], x[2], 9, 1, Reduction::none)};
              },
              "F.triplet_margin_loss({0}, {1}, {2}, 9.0, p=1, reduction='none')");
          s.add(
              {s.uniform({0, 4}), s.uniform({0, 4}), s.uniform({0, 4})},
              [](const Tensors& x) {
                return Tensors{triplet_margin_loss(x[0], x[1], x[2], 1, 2, Reduction::sum)};
              },
              "F.triplet_margin_loss({0}, {1}, {2}, reduction='sum')");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({3, 5})},
              [](const Tensors& x) { return Tensors{triplet_margin_loss(x[0], x[1], x[2])}; },
              "different shapes");
          s.bad(
              {s.uniform({3}), s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{triplet_margin_loss(x[0], x[1], x[2], 1, 0)}; },
              "p 0 is not positive");
        },
};

Tensor triplet_margin_loss(In anchor, In positive, In negative, double margin, double p,
                           Reduction reduction) {
  const auto [x, y] = unify_float(anchor, positive);
  return make(op_triplet_margin_loss, TripletMarginLossAttrs{margin, p, number_of(reduction)},
              {x, y, unify_float(x, negative).second});
}

}  // namespace nacre
