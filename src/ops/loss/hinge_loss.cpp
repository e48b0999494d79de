#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct HingeLossAttrs {
  bool squared = false;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("squared", squared);
    v("reduction", reduction);
  }
};
}  // namespace

/// Hinge loss of a score and a target that is 1 or -1: max(0, 1 - target * score), or its square.
/// score, target: One shape, floating (integers become f32).
API(Tensor hinge_loss(In score, In target, bool squared = false,
                      Reduction reduction = Reduction::mean))

OP(hinge_loss) = {
    .name = "hinge_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<HingeLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<HingeLossAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const HingeLossAttrs*>(attrs);
      const Tensor h = relu(1.0 - in[0] * in[1]);
      return {reduced(a.squared ? square(h) : h, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -0.9, 0.9), s.uniform({3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{hinge_loss(x[0], x[1])}; },
              "(torch.relu(1 - {0} * {1})).mean()");
          s.add(
              {s.uniform({2, 3, 2}, -0.9, 0.9), s.uniform({2, 3, 2}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{hinge_loss(x[0], x[1], false, Reduction::sum)};
              },
              "(torch.relu(1 - {0} * {1})).sum()");
          s.add(
              {s.uniform({5}, -0.9, 0.9), s.uniform({5}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{hinge_loss(x[0], x[1], false, Reduction::none)};
              },
              "torch.relu(1 - {0} * {1})");
          s.add(
              {s.uniform({}, -0.9, 0.9), s.uniform({}, -1, 1)},
              [](const Tensors& x) { return Tensors{hinge_loss(x[0], x[1])}; },
              "(torch.relu(1 - {0} * {1})).mean()");
          s.add(
              {s.uniform({0, 2}, -0.9, 0.9), s.uniform({0, 2}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{hinge_loss(x[0], x[1], false, Reduction::none)};
              },
              "torch.relu(1 - {0} * {1})");
          s.add(
              {s.uniform({3, 4}, -0.9, 0.9), s.uniform({3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{hinge_loss(x[0], x[1], true)}; },
              "(torch.relu(1 - {0} * {1}) ** 2).mean()");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{hinge_loss(x[0], x[1])}; }, "have to be equal");
        },
};

Tensor hinge_loss(In score, In target, bool squared, Reduction reduction) {
  const auto [x, y] = unify_float(score, target);
  return make(op_hinge_loss, HingeLossAttrs{squared, number_of(reduction)}, {x, y});
}

}  // namespace nacre
