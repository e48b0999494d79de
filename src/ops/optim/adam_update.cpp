#include "ops/op.h"

namespace nacre {
namespace {
struct AdamUpdateAttrs {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  void fields(FieldVisitor& v) {
    v("beta1", beta1);
    v("beta2", beta2);
    v("eps", eps);
  }
};
}  // namespace

/// A step of Adam (Kingma and Ba 2015) or AdamW. p, g, m, v: one shape and type; then scalars of
/// that type: rate (with the first correction), the reciprocal root of the second correction, and
/// the factor that shrinks p; then, if there is one, a condition (bool): where it is false p, m and
/// v stay. m' = beta1 m + (1 - beta1) g, v' = beta2 v + (1 - beta2) g^2,
/// p' = shrink p - rate m' / (correction sqrt(v') + eps). Outputs p', m', v'. Made by optimisers.
OP(adam_update) = {
    .name = "adam_update",
    .kind = OpKind::composite,
    .attrs = attr_type<AdamUpdateAttrs>(),
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 7 || in.inputs() == 8,
                   {in.inputs(), " inputs, 7 or 8 are needed"});
          in.check_float(0);
          for (size_t i = 1; i < 7; ++i) {
            if (in.dtype(i) != in.dtype(0))
              in.fail({"input ", i, " has type ", in.dtype(i), ", p has ", in.dtype(0)});
            if (i < 4 ? in.shape(i) != in.shape(0) : in.rank(i) != 0)
              in.fail({"input ", i, " has shape ", in.shape(i), ", ", i < 4 ? in.shape(0) : Shape(),
                       " is needed"});
          }
          if (in.inputs() == 8)
            in.check(in.dtype(7) == DType::boolean && in.rank(7) == 0,
                     {"the condition is ", in.dtype(7), " ", in.shape(7), ", a bool is needed"});
          for (int k = 0; k < 3; ++k) in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const AdamUpdateAttrs*>(attrs);
      const Tensor &p = in[0], &g = in[1];
      const Tensor m = a.beta1 * in[2] + (1 - a.beta1) * g;
      const Tensor v = a.beta2 * in[3] + (1 - a.beta2) * (g * g);
      const Tensor next = p * in[6] - in[4] * m / (sqrt(v) * in[5] + a.eps);
      if (in.size() == 7) return {next, m, v};
      return {where(in[7], next, p), where(in[7], m, in[2]), where(in[7], v, in[3])};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return make_all(op_adam_update, box(AdamUpdateAttrs{0.8, 0.9, 1e-3}), x);
          };
          const auto add = [&](const Shape& shape, bool condition) {
            std::vector<SampleInput> in = {s.uniform(shape), s.uniform(shape), s.uniform(shape),
                                           s.uniform(shape, 0.5, 2)};
            for (int k = 0; k < 3; ++k) in.push_back(s.uniform({}, 0.5, 1));
            if (condition) in.push_back(s.boolean({}));
            s.add(std::move(in), call).oracle = "PyTorch's trajectories, in tests/optim";
          };
          add({3, 7}, false);
          add({37}, true);
          add({}, false);
          add({0, 2}, false);
          s.bad({s.uniform({3}), s.uniform({2}), s.uniform({3}), s.uniform({3}), s.uniform({}),
                 s.uniform({}), s.uniform({})},
                call, "input 1 has shape 2, 3 is needed");
        },
};

}  // namespace nacre
