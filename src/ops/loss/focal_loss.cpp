#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct FocalLossAttrs {
  double gamma = 2;
  double alpha = 0.25;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("gamma", gamma);
    v("alpha", alpha);
    v("reduction", reduction);
  }
};
}  // namespace

/// Focal loss of logits and targets in [0, 1] (Lin et al., 2017): binary cross entropy times (1 - p
/// of the target)^gamma, which fades out what is already right. alpha in [0, 1] weighs positives
/// against negatives; negative: no weighing. gamma >= 0. logits, target: One shape, floating
/// (integers become f32).
API(Tensor focal_loss(In logits, In target, double gamma = 2, double alpha = 0.25,
                      Reduction reduction = Reduction::mean))

OP(focal_loss) = {
    .name = "focal_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<FocalLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<FocalLossAttrs>();
          in.check(a.gamma >= 0, {"gamma ", a.gamma, " is negative"});
          in.check(a.alpha <= 1, {"alpha ", a.alpha, " is above 1"});
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const FocalLossAttrs*>(attrs);
      const Tensor &x = in[0], &t = in[1];
      const Tensor wrong = sigmoid(x) * (1.0 - t) + sigmoid(neg(x)) * t;
      Tensor y = softplus(x) - x * t;
      if (a.gamma == 1)
        y = y * wrong;
      else if (a.gamma != 0)
        y = y * pow(wrong, a.gamma);
      if (a.alpha >= 0) y = y * (a.alpha * t + (1 - a.alpha) * (1.0 - t));
      return {reduced(y, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, 0, 1)},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1])}; },
              "((lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t) ** 2 * (0.25 * t + 0.75 * (1 - "
              "t)))({0}, {1})).mean()");
          s.add(
              {s.uniform({2, 3, 2}, -2, 2), s.uniform({2, 3, 2}, 0, 1)},
              [](const Tensors& x) {
                return Tensors{focal_loss(x[0], x[1], 2, 0.25, Reduction::sum)};
              },
              "((lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t) ** 2 * (0.25 * t + 0.75 * (1 - "
              "t)))({0}, {1})).sum()");
          s.add(
              {s.uniform({5}, -2, 2), s.uniform({5}, 0, 1)},
              [](const Tensors& x) {
                return Tensors{focal_loss(x[0], x[1], 2, 0.25, Reduction::none)};
              },
              "(lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t) ** 2 * (0.25 * t + 0.75 * (1 - "
              "t)))({0}, {1})");
          s.add(
              {s.uniform({}, -2, 2), s.uniform({}, 0, 1)},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1])}; },
              "((lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t) ** 2 * (0.25 * t + 0.75 * (1 - "
              "t)))({0}, {1})).mean()");
          s.add(
              {s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, 0, 1)},
              [](const Tensors& x) {
                return Tensors{focal_loss(x[0], x[1], 2, 0.25, Reduction::none)};
              },
              "(lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t) ** 2 * (0.25 * t + 0.75 * (1 - "
              "t)))({0}, {1})");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, 0, 1)},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1], 0, -1)}; },
              "F.binary_cross_entropy_with_logits({0}, {1})");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, 0, 1)},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1], 1, -1)}; },
              "((lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction='none') * "
              "(torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t))({0}, {1})).mean()");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1])}; }, "have to be equal");
          s.bad(
              {s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1], -1)}; },
              "gamma -1 is negative");
          s.bad(
              {s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{focal_loss(x[0], x[1], 2, 3)}; },
              "alpha 3 is above 1");
        },
};

Tensor focal_loss(In logits, In target, double gamma, double alpha, Reduction reduction) {
  const auto [x, y] = unify_float(logits, target);
  return make(op_focal_loss, FocalLossAttrs{gamma, alpha, number_of(reduction)}, {x, y});
}

}  // namespace nacre
