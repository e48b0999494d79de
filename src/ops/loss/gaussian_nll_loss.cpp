#include <numbers>

#include "ops/loss/loss.h"

namespace nacre {
namespace {
struct GaussianNllLossAttrs {
  bool full = false;
  double eps = 1e-6;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("full", full);
    v("eps", eps);
    v("reduction", reduction);
  }
};
}  // namespace

/// Negative log-likelihood of a normal distribution: (log var + (input - target)^2 / var) / 2, var
/// not below eps. full adds log(2 pi) / 2. input, target, var: One shape, floating (integers become
/// f32).
API(Tensor gaussian_nll_loss(In input, In target, In var, bool full = false, double eps = 1e-6,
                             Reduction reduction = Reduction::mean))

OP(gaussian_nll_loss) = {
    .name = "gaussian_nll_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<GaussianNllLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<GaussianNllLossAttrs>();
          in.check(a.eps > 0, {"eps ", a.eps, " is not positive"});
          infer_loss_of_pairs(in, a.reduction, 3);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const GaussianNllLossAttrs*>(attrs);
      const Tensor var = maximum(in[2], a.eps);
      Tensor y = (log(var) + square(in[0] - in[1]) / var) * 0.5;
      if (a.full) y = y + 0.5 * std::log(2 * std::numbers::pi);
      return {reduced(y, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{gaussian_nll_loss(x[0], x[1], x[2])}; },
              "F.gaussian_nll_loss({0}, {1}, {2}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, -2, 2), s.uniform({2, 3, 2}, -2, 2),
               s.uniform({2, 3, 2}, 0.2, 2)},
              [](const Tensors& x) {
                return Tensors{gaussian_nll_loss(x[0], x[1], x[2], false, 1e-6, Reduction::sum)};
              },
              "F.gaussian_nll_loss({0}, {1}, {2}, reduction='sum')");
          s.add(
              {s.uniform({5}, -2, 2), s.uniform({5}, -2, 2), s.uniform({5}, 0.2, 2)},
              [](const Tensors& x) {
                return Tensors{gaussian_nll_loss(x[0], x[1], x[2], false, 1e-6, Reduction::none)};
              },
              "F.gaussian_nll_loss({0}, {1}, {2}, reduction='none')");
          s.add(
              {s.uniform({}, -2, 2), s.uniform({}, -2, 2), s.uniform({}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{gaussian_nll_loss(x[0], x[1], x[2])}; },
              "F.gaussian_nll_loss({0}, {1}, {2}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, -2, 2), s.uniform({0, 2}, 0.2, 2)},
              [](const Tensors& x) {
                return Tensors{gaussian_nll_loss(x[0], x[1], x[2], false, 1e-6, Reduction::none)};
              },
              "F.gaussian_nll_loss({0}, {1}, {2}, reduction='none')");
          s.add(
              {s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, -2, 2), s.uniform({3, 4}, 0.2, 2)},
              [](const Tensors& x) { return Tensors{gaussian_nll_loss(x[0], x[1], x[2], true)}; },
              "F.gaussian_nll_loss({0}, {1}, {2}, full=True)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{gaussian_nll_loss(x[0], x[1], x[2])}; },
              "have to be equal");
          s.bad(
              {s.uniform({2}), s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) {
                return Tensors{gaussian_nll_loss(x[0], x[1], x[2], false, 0)};
              },
              "eps 0 is not positive");
        },
};

Tensor gaussian_nll_loss(In input, In target, In var, bool full, double eps, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_gaussian_nll_loss, GaussianNllLossAttrs{full, eps, number_of(reduction)},
              {x, y, unify_float(x, var).second});
}

}  // namespace nacre
