#include <numbers>

#include "ops/loss/loss.h"

namespace nacre {
namespace {
struct PoissonNllLossAttrs {
  bool log_input = true;
  bool full = false;
  double eps = 1e-8;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("log_input", log_input);
    v("full", full);
    v("eps", eps);
    v("reduction", reduction);
  }
};
}  // namespace

/// Negative log-likelihood of counts under a Poisson distribution: e^x - target * x, or x - target
/// * log(x + eps) if log_input is false. full adds Stirling's approximation of log(target!) where
/// target > 1. input, target: One shape, floating (integers become f32).
API(Tensor poisson_nll_loss(In input, In target, bool log_input = true, bool full = false,
                            double eps = 1e-8, Reduction reduction = Reduction::mean))

OP(poisson_nll_loss) = {
    .name = "poisson_nll_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<PoissonNllLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<PoissonNllLossAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const PoissonNllLossAttrs*>(attrs);
      const Tensor &x = in[0], &t = in[1];
      Tensor y = a.log_input ? exp(x) - t * x : x - t * log(x + a.eps);
      if (a.full) {
        const Tensor large = gt(t, 1.0), u = where(large, t, 1.0);
        y = y + where(large, u * log(u) - u + 0.5 * log(u * (2 * std::numbers::pi)), 0.0);
      }
      return {reduced(y, a.reduction)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.2, 2), s.uniform({3, 4}, 1.2, 3)},
              [](const Tensors& x) { return Tensors{poisson_nll_loss(x[0], x[1])}; },
              "F.poisson_nll_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, 0.2, 2), s.uniform({2, 3, 2}, 1.2, 3)},
              [](const Tensors& x) {
                return Tensors{poisson_nll_loss(x[0], x[1], true, false, 1e-8, Reduction::sum)};
              },
              "F.poisson_nll_loss({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, 0.2, 2), s.uniform({5}, 1.2, 3)},
              [](const Tensors& x) {
                return Tensors{poisson_nll_loss(x[0], x[1], true, false, 1e-8, Reduction::none)};
              },
              "F.poisson_nll_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, 0.2, 2), s.uniform({}, 1.2, 3)},
              [](const Tensors& x) { return Tensors{poisson_nll_loss(x[0], x[1])}; },
              "F.poisson_nll_loss({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, 0.2, 2), s.uniform({0, 2}, 1.2, 3)},
              [](const Tensors& x) {
                return Tensors{poisson_nll_loss(x[0], x[1], true, false, 1e-8, Reduction::none)};
              },
              "F.poisson_nll_loss({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({3, 4}, 0.2, 2), s.uniform({3, 4}, 1.2, 3)},
              [](const Tensors& x) { return Tensors{poisson_nll_loss(x[0], x[1], false)}; },
              "F.poisson_nll_loss({0}, {1}, log_input=False)");
          s.add(
              {s.uniform({3, 4}, 0.2, 2), s.uniform({3, 4}, 1.2, 3)},
              [](const Tensors& x) { return Tensors{poisson_nll_loss(x[0], x[1], true, true)}; },
              "F.poisson_nll_loss({0}, {1}, full=True)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{poisson_nll_loss(x[0], x[1])}; },
              "have to be equal");
        },
};

Tensor poisson_nll_loss(In input, In target, bool log_input, bool full, double eps,
                        Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_poisson_nll_loss, PoissonNllLossAttrs{log_input, full, eps, number_of(reduction)},
              {x, y});
}

}  // namespace nacre
