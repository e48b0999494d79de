#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct BceWithLogitsAttrs {
  bool weighted = false;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("weighted", weighted);
    v("reduction", reduction);
  }
};
}  // namespace

/// Binary cross entropy of logits and targets in [0, 1], stable for any logit. weight multiplies
/// losses, pos_weight the positive part; both broadcast to the logits. logits, target: one shape,
/// floating (integers become f32).
API(Tensor bce_with_logits(In logits, In target, In weight = Tensor(), In pos_weight = Tensor(),
                           Reduction reduction = Reduction::mean))

OP(bce_with_logits) = {
    .name = "bce_with_logits",
    .kind = OpKind::composite,
    .attrs = attr_type<BceWithLogitsAttrs>(),
    .infer =
        [](Infer& in) {
          const size_t least = in.attrs<BceWithLogitsAttrs>().weighted ? 3 : 2;
          in.check(in.inputs() == least || in.inputs() == least + 1,
                   {"takes ", least, " or ", least + 1, " inputs, got ", in.inputs()});
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.shape(1) == in.shape(0), {"target has shape ", in.shape(1), ", logits have ",
                                                in.shape(0), ": they have to be equal"});
          for (size_t i = 2; i < in.inputs(); ++i) {
            bool fits = in.rank(i) <= in.rank(0);
            for (int64_t d = 1; fits && d <= in.rank(i); ++d)
              fits = in.shape(i)[-d] == 1 || in.shape(i)[-d] == in.shape(0)[-d];
            in.check(fits, {"a weight of shape ", in.shape(i),
                            " does not broadcast to the logits' ", in.shape(0)});
          }
          infer_loss(in, in.attrs<BceWithLogitsAttrs>().reduction, in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const BceWithLogitsAttrs*>(attrs);
      const Tensor &x = in[0], &t = in[1];
      const size_t pos = a.weighted ? 3 : 2;
      Tensor y;
      if (in.size() > pos)
        y = (1.0 - t) * x + ((in[pos] - 1.0) * t + 1.0) * softplus(neg(x));
      else
        y = softplus(x) - x * t;
      if (a.weighted) y = y * in[2];
      return {reduced(y, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3), s.uniform({3, 4}, 0, 1)},
              [](const Tensors& x) { return Tensors{bce_with_logits(x[0], x[1])}; },
              "F.binary_cross_entropy_with_logits({0}, {1})");
          s.add(
              {s.uniform({3, 4}, -3, 3), s.uniform({3, 4}, 0, 1), s.uniform({3, 1}, 0.5, 2)},
              [](const Tensors& x) {
                return Tensors{bce_with_logits(x[0], x[1], x[2], Tensor(), Reduction::sum)};
              },
              "(F.binary_cross_entropy_with_logits({0}, {1}, reduction='none') * {2}).sum()");
          s.add(
              {s.uniform({3, 4}, -3, 3), s.uniform({3, 4}, 0, 1), s.uniform({4}, 0.5, 2)},
              [](const Tensors& x) {
                return Tensors{bce_with_logits(x[0], x[1], Tensor(), x[2], Reduction::none)};
              },
              "(1 - {1}) * {0} + (1 + ({2} - 1) * {1}) * F.softplus(-{0})");
          s.add(
              {s.uniform({3, 4}, -3, 3), s.uniform({3, 4}, 0, 1), s.uniform({3, 4}, 0.5, 2),
               s.uniform({4}, 0.5, 2)},
              [](const Tensors& x) { return Tensors{bce_with_logits(x[0], x[1], x[2], x[3])}; },
              "({2} * ((1 - {1}) * {0} + (1 + ({3} - 1) * {1}) * F.softplus(-{0}))).mean()");
          s.add(
               {s.at({-1000, 1000, 100, 0}), s.at({0, 1, 0, 1})},
               [](const Tensors& x) { return Tensors{bce_with_logits(x[0], x[1])}; },
               "F.binary_cross_entropy_with_logits({0}, {1})")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3}), s.uniform({0, 3})},
              [](const Tensors& x) {
                return Tensors{bce_with_logits(x[0], x[1], Tensor(), Tensor(), Reduction::sum)};
              },
              "F.binary_cross_entropy_with_logits({0}, {1}, reduction='sum')");
          s.bad(
              {s.uniform({3}), s.uniform({3, 1})},
              [](const Tensors& x) { return Tensors{bce_with_logits(x[0], x[1])}; },
              "have to be equal");
          s.bad(
              {s.uniform({3}), s.uniform({3}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{bce_with_logits(x[0], x[1], x[2])}; },
              "does not broadcast");
        },
};

Tensor bce_with_logits(In logits, In target, In weight, In pos_weight, Reduction reduction) {
  const auto [x, y] = unify_float(logits, target);
  Tensors in = {x, y};
  for (const Tensor* w : {&weight.get(), &pos_weight.get()})
    if (w->defined()) in.push_back(unify_float(x, *w).second);
  return make(op_bce_with_logits, box(BceWithLogitsAttrs{weight->defined(), number_of(reduction)}),
              in);
}

}  // namespace nacre
