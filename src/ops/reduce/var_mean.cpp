#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
namespace {
struct VarMeanAttrs {
  Ints dims = {};
  int64_t correction = 1;
  bool keepdim = false;
  void fields(FieldVisitor& v) {
    v("dims", dims);
    v("correction", correction);
    v("keepdim", keepdim);
  }
};
}  // namespace

/// Variance (see var) and mean over dimensions, in that order.
/// x: any shape, floating (integers become f32). dims: all if none are given; keepdim leaves
/// reduced dimensions with size 1.
API(std::pair<Tensor, Tensor> var_mean(In x, const Ints& dims = {}, int64_t correction = 1,
                                       bool keepdim = false))

OP(var_mean) = {
    .name = "var_mean",
    .kind = OpKind::composite,
    .attrs = attr_type<VarMeanAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<VarMeanAttrs>();
          in.check_float(0);
          in.check(a.correction >= 0, {"correction ", a.correction, " is negative"});
          const Shape s = reduced_shape(in.shape(0), {a.dims, a.keepdim});
          in.out(in.dtype(0), s);
          in.out(in.dtype(0), s);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const VarMeanAttrs*>(attrs);
      return {var(in[0], a.dims, a.correction, a.keepdim), mean(in[0], a.dims, a.keepdim)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                const auto [v, m] = var_mean(x[0], {1});
                return Tensors{v, m};
              },
              "torch.var_mean({0}, 1)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                const auto [v, m] = var_mean(x[0], {0, -1}, 0, true);
                return Tensors{v, m};
              },
              "torch.var_mean({0}, (0, 2), correction=0, keepdim=True)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                const auto [v, m] = var_mean(x[0]);
                return Tensors{v, m};
              },
              "torch.var_mean({0}, unbiased=True)");
          s.bad(
              {s.uniform({2})}, [](const Tensors& x) { return Tensors{var_mean(x[0], {1}).first}; },
              "out of range");
        },
};

std::pair<Tensor, Tensor> var_mean(In x, const Ints& dims, int64_t correction, bool keepdim) {
  const Tensors y = make_all(
      op_var_mean, VarMeanAttrs{normalize_dims(op_var_mean, dims, x->rank()), correction, keepdim},
      {as_float(x)});
  return {y[0], y[1]};
}

}  // namespace nacre
