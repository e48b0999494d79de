#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct ContrastiveLossAttrs {
  double margin = 1;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("margin", margin);
    v("reduction", reduction);
  }
};
}  // namespace

/// Contrastive loss of pairs with distance d = |a - b| (Hadsell, Chopra and LeCun, 2006): d^2 / 2
/// where the target is 1 (alike), max(0, margin - d)^2 / 2 where it is 0. a, b: ...xD, floating;
/// target: ..., in [0, 1].
API(Tensor contrastive_loss(In a, In b, In target, double margin = 1,
                            Reduction reduction = Reduction::mean))

OP(contrastive_loss) = {
    .name = "contrastive_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<ContrastiveLossAttrs>(),
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
          infer_loss(in, in.attrs<ContrastiveLossAttrs>().reduction, items);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ContrastiveLossAttrs*>(attrs);
      const Tensor d = in[0] - in[1];
      const Tensor near = sum(square(d), {-1}), far = square(relu(a.margin - norm(d, 2, {-1})));
      return {reduced((in[2] * near + (1.0 - in[2]) * far) * 0.5, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.ints_at({1, 0, 1}, {3})},
              [](const Tensors& x) { return Tensors{contrastive_loss(x[0], x[1], x[2], 3)}; },
              "(lambda d, y: (y * d ** 2 + (1 - y) * torch.relu(3 - d) ** 2).mean() / 2)(({0} - "
              "{1}).norm(dim=-1), {2})");
          s.add(
              {s.uniform({2, 3, 4}), s.uniform({2, 3, 4}), s.uniform({2, 3}, 0, 1)},
              [](const Tensors& x) {
                return Tensors{contrastive_loss(x[0], x[1], x[2], 4, Reduction::none)};
              },
              "(lambda d, y: (y * d ** 2 + (1 - y) * torch.relu(4 - d) ** 2) / 2)(({0} - "
              "{1}).norm(dim=-1), {2})");
          s.add(
              {s.uniform({0, 4}), s.uniform({0, 4}), s.uniform({0})},
              [](const Tensors& x) {
                return Tensors{contrastive_loss(x[0], x[1], x[2], 1, Reduction::sum)};
              },
              "0 * ({0}.sum() + {1}.sum() + {2}.sum())");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 5}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{contrastive_loss(x[0], x[1], x[2])}; },
              "different shapes");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3, 4}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{contrastive_loss(x[0], x[1], x[2])}; },
              "targets have shape 2");
        },
};

Tensor contrastive_loss(In a, In b, In target, double margin, Reduction reduction) {
  const auto [x, y] = unify_float(a, b);
  return make(op_contrastive_loss, ContrastiveLossAttrs{margin, number_of(reduction)},
              {x, y, unify_float(x, target).second});
}

}  // namespace nacre
