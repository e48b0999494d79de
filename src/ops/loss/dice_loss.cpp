#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct DiceLossAttrs {
  double smooth = 1;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("smooth", smooth);
    v("reduction", reduction);
  }
};
}  // namespace

/// Dice loss of each item (Milletari et al., 2016): 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) +
/// smooth), sums over all dimensions but the first. input: probabilities, Nx..., floating; target:
/// the same shape, in [0, 1].
API(Tensor dice_loss(In input, In target, double smooth = 1, Reduction reduction = Reduction::mean))

OP(dice_loss) = {
    .name = "dice_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<DiceLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<DiceLossAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 2 && in.shape(0) == in.shape(1),
                   {"input and target need one shape of rank 2 or more"});
          in.check(a.smooth >= 0, {"smooth ", a.smooth, " is negative"});
          infer_loss(in, a.reduction, {in.shape(0)[0]});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DiceLossAttrs*>(attrs);
      const Tensor p = flatten(in[0], 1), t = flatten(in[1], 1);
      const Tensor both = sum(p * t, {1}) * 2.0 + a.smooth,
                   all = sum(p, {1}) + sum(t, {1}) + a.smooth;
      return {reduced(1.0 - both / all, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.1, 1), s.uniform({3, 4}, 0.1, 1)},
              [](const Tensors& x) { return Tensors{dice_loss(x[0], x[1])}; },
              "(1 - (2 * ({0} * {1}).sum(1) + 1) / ({0}.sum(1) + {1}.sum(1) + 1)).mean()");
          s.add(
              {s.uniform({2, 3, 4}, 0.1, 1), s.uniform({2, 3, 4}, 0.1, 1)},
              [](const Tensors& x) { return Tensors{dice_loss(x[0], x[1], 0, Reduction::none)}; },
              "1 - 2 * ({0} * {1}).sum((1, 2)) / ({0}.sum((1, 2)) + {1}.sum((1, 2)))");
          s.add(
              {s.uniform({0, 4}), s.uniform({0, 4})},
              [](const Tensors& x) { return Tensors{dice_loss(x[0], x[1], 1, Reduction::sum)}; },
              "0 * ({0}.sum() + {1}.sum())");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{dice_loss(x[0], x[1])}; }, "need one shape");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 4})},
              [](const Tensors& x) { return Tensors{dice_loss(x[0], x[1], -1)}; },
              "smooth -1 is negative");
        },
};

Tensor dice_loss(In input, In target, double smooth, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_dice_loss, DiceLossAttrs{smooth, number_of(reduction)}, {x, y});
}

}  // namespace nacre
