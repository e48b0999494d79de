#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct MarginRankingLossAttrs {
  double margin = 0;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("margin", margin);
    v("reduction", reduction);
  }
};
}  // namespace

/// max(0, margin - target * (first - second)): target 1 asks for first above second, -1 for the
/// opposite. first, second, target: One shape, floating (integers become f32).
API(Tensor margin_ranking_loss(In first, In second, In target, double margin = 0,
                               Reduction reduction = Reduction::mean))

OP(margin_ranking_loss) = {
    .name = "margin_ranking_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<MarginRankingLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<MarginRankingLossAttrs>();
          infer_loss_of_pairs(in, a.reduction, 3);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MarginRankingLossAttrs*>(attrs);
      return {reduced(relu(a.margin - in[2] * (in[0] - in[1])), a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 1), s.uniform({3, 4}, -1, 0.1), s.uniform({3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{margin_ranking_loss(x[0], x[1], x[2])}; },
              "torch.relu(-{2} * ({0} - {1})).mean()");
          s.add(
              {s.uniform({2, 3, 2}, 0.2, 1), s.uniform({2, 3, 2}, -1, 0.1),
               s.uniform({2, 3, 2}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{margin_ranking_loss(x[0], x[1], x[2], 0, Reduction::sum)};
              },
              "torch.relu(-{2} * ({0} - {1})).sum()");
          s.add(
              {s.uniform({5}, 0.2, 1), s.uniform({5}, -1, 0.1), s.uniform({5}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{margin_ranking_loss(x[0], x[1], x[2], 0, Reduction::none)};
              },
              "torch.relu(-{2} * ({0} - {1}))");
          s.add(
              {s.uniform({}, 0.2, 1), s.uniform({}, -1, 0.1), s.uniform({}, -1, 1)},
              [](const Tensors& x) { return Tensors{margin_ranking_loss(x[0], x[1], x[2])}; },
              "torch.relu(-{2} * ({0} - {1})).mean()");
          s.add(
              {s.uniform({0, 2}, 0.2, 1), s.uniform({0, 2}, -1, 0.1), s.uniform({0, 2}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{margin_ranking_loss(x[0], x[1], x[2], 0, Reduction::none)};
              },
              "torch.relu(-{2} * ({0} - {1}))");
          s.add(
              {s.uniform({3, 4}, 0.2, 1), s.uniform({3, 4}, -1, 0.1), s.uniform({3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{margin_ranking_loss(x[0], x[1], x[2], 3)}; },
              "F.margin_ranking_loss({0}, {1}, {2}, margin=3)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{margin_ranking_loss(x[0], x[1], x[2])}; },
              "have to be equal");
        },
};

Tensor margin_ranking_loss(In first, In second, In target, double margin, Reduction reduction) {
  const auto [x, y] = unify_float(first, second);
  return make(op_margin_ranking_loss, MarginRankingLossAttrs{margin, number_of(reduction)},
              {x, y, unify_float(x, target).second});
}

}  // namespace nacre
