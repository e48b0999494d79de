#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct KlDivAttrs {
  bool log_target = false;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("log_target", log_target);
    v("reduction", reduction);
  }
};
}  // namespace

/// Pointwise Kullback-Leibler divergence target * (log target - input). input: log-probabilities;
/// target: probabilities, or log-probabilities with log_target. For the divergence of batches use
/// Reduction::sum and divide by N. input, target: One shape, floating (integers become f32).
API(Tensor kl_div(In input, In target, bool log_target = false,
                  Reduction reduction = Reduction::mean))

OP(kl_div) = {
    .name = "kl_div",
    .kind = OpKind::composite,
    .attrs = attr_type<KlDivAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<KlDivAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const KlDivAttrs*>(attrs);
      if (a.log_target) return {reduced(exp(in[1]) * (in[1] - in[0]), a.reduction)};
      return {reduced(xlogy(in[1], in[1]) - in[1] * in[0], a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, -0.1), s.uniform({3, 4}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1])}; },
              "F.kl_div({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -3, -0.1), s.uniform({2, 3, 2}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1], false, Reduction::sum)}; },
              "F.kl_div({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, -3, -0.1), s.uniform({5}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1], false, Reduction::none)}; },
              "F.kl_div({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, -3, -0.1), s.uniform({}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1])}; },
              "F.kl_div({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -3, -0.1), s.uniform({0, 2}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1], false, Reduction::none)}; },
              "F.kl_div({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({3, 4}, -3, -0.1), s.uniform({3, 4}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1], true)}; },
              "F.kl_div({0}, {1}, log_target=True)");
          s.add(
               {s.at({-1, -2}), s.at({0, 1})},
               [](const Tensors& x) { return Tensors{kl_div(x[0], x[1])}; }, "F.kl_div({0}, {1})")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{kl_div(x[0], x[1])}; }, "have to be equal");
        },
};

Tensor kl_div(In input, In target, bool log_target, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_kl_div, KlDivAttrs{log_target, number_of(reduction)}, {x, y});
}

}  // namespace nacre
