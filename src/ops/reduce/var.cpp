#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
namespace {
struct VarAttrs {
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

/// Variance over dimensions: sum of squared deviations from the mean / (n - correction). NaN if n
/// <= correction. x: any shape, floating (integers become f32). dims: all if none are given;
/// keepdim leaves reduced dimensions with size 1.
API(Tensor var(In x, const Ints& dims = {}, int64_t correction = 1, bool keepdim = false))

OP(var) = {
    .name = "var",
    .kind = OpKind::composite,
    .attrs = attr_type<VarAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<VarAttrs>();
          in.check_float(0);
          in.check(a.correction >= 0, {"correction ", a.correction, " is negative"});
          in.out(in.dtype(0), reduced_shape(in.shape(0), {a.dims, a.keepdim}));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const VarAttrs*>(attrs);
      const ReduceAttrs kept{a.dims, true};
      const double n = reduced_count(in[0].shape(), kept);
      const Tensor d = in[0] - mean(in[0], a.dims, true);
      return {sum(square(d), a.dims, a.keepdim) /
              std::max(n - static_cast<double>(a.correction), 0.0)};
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<VarAttrs>();
          const ReduceAttrs r{a.dims, a.keepdim};
          const Shape& shape = v.x(0).shape();
          const double n =
              std::max(reduced_count(shape, r) - static_cast<double>(a.correction), 0.0);
          v.dx(0) =
              expand_reduced(v.dy() * (2 / n), shape, r) * (v.x(0) - mean(v.x(0), a.dims, true));
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{var(x[0])}; },
              "torch.var({0}, unbiased=True)");
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{var(x[0], {1}, 0)}; },
              "torch.var({0}, 1, correction=0)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{var(x[0], {0, -1}, 1, true)};
              },
              "torch.var({0}, (0, 2), correction=1, keepdim=True)");
          s.add(
               {s.uniform({2, 1})}, [](const Tensors& x) { return Tensors{var(x[0], {1}, 1)}; },
               "torch.var({0}, 1)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{var(x[0], {1})}; },
              "torch.var({0}, 1)");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{var(x[0], {2})}; },
              "out of range");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{var(x[0], {0}, -1)}; },
              "correction -1 is negative");
          s.add(
              {s.at({5, 5, 5, 5}, {2, 2})},
              [](const Tensors& x) { return Tensors{var(x[0], {0})}; }, "torch.var({0}, 0)");
        },
};

Tensor var(In x, const Ints& dims, int64_t correction, bool keepdim) {
  return make(op_var, VarAttrs{normalize_dims(op_var, dims, x->rank()), correction, keepdim},
              {as_float(x)});
}

}  // namespace nacre
