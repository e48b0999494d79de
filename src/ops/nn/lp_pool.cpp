#include "ops/nn/pool.h"

namespace nacre {
namespace {
struct LpPoolAttrs : MaxPoolAttrs {
  double p = 2;
  void fields(FieldVisitor& v) {
    v("p", p);
    MaxPoolAttrs::fields(v);
  }
};
}  // namespace

/// p-norm of each window: (sum |x|^p)^(1/p), p >= 1 (Sermanet et al. 2012). x: NxCx and one to
/// three spatial dimensions; padding is zeros. The gradient of a window of zeros is zero.
API(Tensor lp_pool(In x, double p, const Ints& kernel, const PoolOptions& options = {}))

OP(lp_pool) = {
    .name = "lp_pool",
    .kind = OpKind::composite,
    .attrs = attr_type<LpPoolAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<LpPoolAttrs>();
          in.check_float(0);
          in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
                   {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
          in.check(a.p >= 1, {"p is ", a.p, ", at least 1 is needed"});
          const Shape& x = in.shape(0);
          in.out(in.dtype(0),
                 with_spatial(x[0], x[1], windowed_shape(in, spatial_of(x), window_of(a))));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const LpPoolAttrs*>(attrs);
      AvgPoolAttrs mean;
      static_cast<MaxPoolAttrs&>(mean) = a;
      const Tensor powers = a.p == 2 ? square(in[0]) : pow(abs(in[0]), a.p);
      const Tensor total = avg_pool(powers, mean) * static_cast<double>(a.kernel.numel());
      const Tensor some = total > 0.0;
      return {where(some, pow(where(some, total, 1.0), 1 / a.p), 0.0)};
    },
    .onnx = "LpPool",
    .samples =
        [](Samples& s) {
          const auto by = [](double p, Ints kernel, PoolOptions o) {
            return [=](const Tensors& x) { return Tensors{lp_pool(x[0], p, kernel, o)}; };
          };
          s.add({s.uniform({2, 3, 4, 5})}, by(2, {2}, {}), "F.lp_pool2d({0}, 2, 2)");
          s.add({s.uniform({1, 2, 5, 6}, 0.2, 1)}, by(3, {3, 2}, {.stride = {2, 1}}),
                "F.avg_pool2d({0} ** 3, (3, 2), (2, 1)).mul(6) ** (1 / 3)");
          s.add({s.uniform({2, 2, 7})}, by(1, {3}, {.stride = {2}}),
                "F.lp_pool1d({0}.abs(), 1, 3, 2)");
          s.add({s.uniform({0, 2, 4, 4})}, by(2, {2}, {}), "F.lp_pool2d({0}, 2, 2)");
          auto& zeros = s.add({s.at({0, 0, 3, 4}, {1, 1, 4})}, by(2, {2}, {}));
          zeros.oracle = "a window of zeros gives 0";
          zeros.check_grad = false;
          s.bad({s.uniform({1, 1, 4})}, by(0.5, {2}, {}), "p is 0.5, at least 1 is needed");
          s.bad({s.uniform({1, 4})}, by(2, {2}, {}), "rank 2");
          s.bad({s.uniform({1, 1, 4})}, by(2, {5}, {}), "larger than the padded input of 4");
        },
};

Tensor lp_pool(In x, double p, const Ints& kernel, const PoolOptions& o) {
  if (x->rank() < 3) check_pool_input("lp_pool", x, 1);
  const SlidingWindow w = resolve_window("lp_pool", spatial_of(x->shape()), kernel,
                                         o.stride.empty() ? kernel : o.stride, o.padding,
                                         o.dilation, false, o.ceil_mode);
  LpPoolAttrs a;
  static_cast<MaxPoolAttrs&>(a) = {w.kernel, w.stride, w.dilation, w.pad_low, w.pad_high};
  a.p = p;
  return make(op_lp_pool, a, {x});
}

}  // namespace nacre
