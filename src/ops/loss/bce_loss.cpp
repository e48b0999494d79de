#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct BceLossAttrs {
  int64_t reduction = 0;
  void fields(FieldVisitor& v) { v("reduction", reduction); }
};
}  // namespace

/// Binary cross entropy of a probability and a target in [0, 1]: -(y log p + (1 - y) log(1 - p)),
/// logarithms not below -100. From logits use bce_with_logits, which is exact. input, target: One
/// shape, floating (integers become f32).
API(Tensor bce_loss(In input, In target, Reduction reduction = Reduction::mean))

OP(bce_loss) = {
    .name = "bce_loss",
    .kind = OpKind::composite,
    .attrs = attr_type<BceLossAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<BceLossAttrs>();
          infer_loss_of_pairs(in, a.reduction);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const BceLossAttrs*>(attrs);
      const Tensor yes = maximum(log(in[0]), -100.0), no = maximum(log1p(neg(in[0])), -100.0);
      return {reduced(neg(in[1] * yes + (1.0 - in[1]) * no), a.reduction)};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor &p = v.x(0), &y = v.x(1);
          Tensor g = v.dy();
          if (v.attrs<BceLossAttrs>().reduction == number_of(Reduction::mean))
            g = g / static_cast<double>(p.numel());
          if (v.wants(0))
            v.dx(0) = g * (p - y) / maximum(p * (1.0 - p), 1e-12);  // finite at 0 and 1
          if (v.wants(1)) {
            const Tensor open = logical_and(gt(p, 0.0), lt(p, 1.0)), q = where(open, p, 0.5);
            v.dx(1) = g * where(open, log1p(neg(q)) - log(q), where(gt(p, 0.5), -100.0, 100.0));
          }
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.1, 0.9), s.uniform({3, 4}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1])}; },
              "F.binary_cross_entropy({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({2, 3, 2}, 0.1, 0.9), s.uniform({2, 3, 2}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1], Reduction::sum)}; },
              "F.binary_cross_entropy({0}, {1}, reduction='sum')");
          s.add(
              {s.uniform({5}, 0.1, 0.9), s.uniform({5}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1], Reduction::none)}; },
              "F.binary_cross_entropy({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({}, 0.1, 0.9), s.uniform({}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1])}; },
              "F.binary_cross_entropy({0}, {1}, reduction='mean')");
          s.add(
              {s.uniform({0, 2}, 0.1, 0.9), s.uniform({0, 2}, 0.1, 0.9)},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1], Reduction::none)}; },
              "F.binary_cross_entropy({0}, {1}, reduction='none')");
          s.add(
               {s.at({0, 1, 0, 1}), s.at({0, 1, 1, 0})},
               [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1], Reduction::none)}; },
               "F.binary_cross_entropy({0}, {1}, reduction='none')")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{bce_loss(x[0], x[1])}; }, "have to be equal");
        },
};

Tensor bce_loss(In input, In target, Reduction reduction) {
  const auto [x, y] = unify_float(input, target);
  return make(op_bce_loss, BceLossAttrs{number_of(reduction)}, {x, y});
}

}  // namespace nacre
