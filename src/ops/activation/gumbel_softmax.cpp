#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct GumbelSoftmaxAttrs {
  double tau = 1;
  bool hard = false;
  int64_t dim = 0;
  void fields(FieldVisitor& v) {
    v("tau", tau);
    v("hard", hard);
    v("dim", dim);
  }
};
}  // namespace

/// A draw from the categorical distribution of the logits along one dimension, relaxed to be
/// differentiable (Jang et al., 2017): softmax((logits + Gumbel noise) / tau). hard gives one-hot
/// values with the gradient of the relaxed ones. logits: any shape, floating. tau > 0.
API(Tensor gumbel_softmax(In logits, const Key& key, double tau = 1, bool hard = false,
                          int64_t dim = -1))
/// The same with noise drawn before (see gumbel): the shape and type of the logits.
API(Tensor gumbel_softmax(In logits, In noise, double tau = 1, bool hard = false, int64_t dim = -1))

OP(gumbel_softmax) = {
    .name = "gumbel_softmax",
    .kind = OpKind::composite,
    .attrs = attr_type<GumbelSoftmaxAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<GumbelSoftmaxAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.shape(1) == in.shape(0),
                   {"noise has shape ", in.shape(1), ", logits have ", in.shape(0)});
          in.check(a.tau > 0, {"tau ", a.tau, " is not positive"});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const GumbelSoftmaxAttrs*>(attrs);
      const Tensor y = softmax((in[0] + in[1]) / a.tau, a.dim);
      if (!a.hard || y.numel() == 0) return {y};
      Shape line(y.shape().size(), 1);
      line[a.dim] = y.size(a.dim);
      const Tensor hit = eq(reshape(arange(y.size(a.dim)), line), argmax(y, a.dim, true));
      return {stop_gradient(cast(hit, y.dtype()) - y) + y};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](double tau, bool hard, int64_t dim) {
            return [=](const Tensors& x) {
              return Tensors{gumbel_softmax(x[0], x[1], tau, hard, dim)};
            };
          };
          s.add({s.uniform({3, 4}), s.uniform({3, 4}, -1, 3)}, call(1, false, -1),
                "torch.softmax({0} + {1}, -1)");
          s.add({s.uniform({2, 3, 2}), s.uniform({2, 3, 2}, -1, 3)}, call(0.5, false, 1),
                "torch.softmax(({0} + {1}) / 0.5, 1)");
          s.add({s.uniform({3, 4}), s.uniform({3, 4}, -1, 3)}, call(1, true, -1),
                "F.one_hot(({0} + {1}).argmax(-1), 4) + 0 * {0}")
              .check_grad = false;
          s.add({s.uniform({0, 4}), s.uniform({0, 4})}, call(1, true, -1), "{0} + {1}");
          s.bad({s.uniform({3, 4}), s.uniform({3})}, call(1, false, -1), "noise has shape 3");
          s.bad({s.uniform({3}), s.uniform({3})}, call(0, false, -1), "tau 0 is not positive");
        },
};

Tensor gumbel_softmax(In logits, In noise, double tau, bool hard, int64_t dim) {
  return make(op_gumbel_softmax,
              GumbelSoftmaxAttrs{tau, hard, normalize_dim(op_gumbel_softmax, dim, logits->rank())},
              {logits, noise});
}

Tensor gumbel_softmax(In logits, const Key& key, double tau, bool hard, int64_t dim) {
  return gumbel_softmax(logits, gumbel(logits->shape(), key, logits->dtype()), tau, hard, dim);
}

}  // namespace nacre
