#include "ops/op.h"

namespace nacre {
namespace {
struct QuantileAttrs {
  double q = 0.5;
  int64_t dim = 0;
  void fields(FieldVisitor& v) {
    v("q", q);
    v("dim", dim);
  }
};
}  // namespace

/// Quantile q in [0, 1] along one dimension, linear between neighbours; NaN if there is one.
/// x: any shape, floating (integers become f32), the dimension not empty.
API(Tensor quantile(In x, double q, int64_t dim, bool keepdim = false))

OP(quantile) = {
    .name = "quantile",
    .kind = OpKind::composite,
    .attrs = attr_type<QuantileAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<QuantileAttrs>();
          in.check_float(0);
          in.check(a.q >= 0 && a.q <= 1, {"q ", a.q, " is not in [0, 1]"});
          in.check(in.shape(0)[a.dim] > 0, {"dimension ", a.dim, " has no elements"});
          Shape s = in.shape(0);
          s.erase(a.dim);
          in.out(in.dtype(0), s);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const QuantileAttrs*>(attrs);
      const int64_t n = in[0].size(a.dim);
      const double place = a.q * static_cast<double>(n - 1);
      const auto below = static_cast<int64_t>(place);
      const Tensor z = sort(in[0], a.dim)[0];
      const Tensor low = select(z, a.dim, below),
                   high = select(z, a.dim, std::min(below + 1, n - 1));
      const Tensor last = select(z, a.dim, n - 1);  // where sorting puts NaN
      return {where(isnan(last), last, lerp(low, high, place - static_cast<double>(below)))};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 5})}, [](const Tensors& x) { return Tensors{quantile(x[0], 0.3, 1)}; },
              "torch.quantile({0}, 0.3, 1)");
          s.add(
              {s.uniform({4, 2, 3})},
              [](const Tensors& x) { return Tensors{quantile(x[0], 0.9, 0, true)}; },
              "torch.quantile({0}, 0.9, 0, keepdim=True)");
          s.add(
              {s.uniform({7})},
              [](const Tensors& x) {
                return Tensors{quantile(x[0], 0, 0), quantile(x[0], 1, 0), quantile(x[0], 0.5, 0)};
              },
              "(torch.quantile({0}, 0.0, 0), torch.quantile({0}, 1.0, 0), torch.quantile({0}, 0.5, "
              "0))");
          s.add(
               {s.at({1, NAN, 3, 4, 2, 1}, {2, 3})},
               [](const Tensors& x) { return Tensors{quantile(x[0], 0.2, 1)}; },
               "torch.quantile({0}, 0.2, 1)")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{quantile(x[0], 1.5, 1)}; },
              "q 1.5 is not in [0, 1]");
          s.bad(
              {s.uniform({2, 0})}, [](const Tensors& x) { return Tensors{quantile(x[0], 0.5, 1)}; },
              "has no elements");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{quantile(x[0], 0.5, 2)}; },
              "out of range");
        },
};

Tensor quantile(In x, double q, int64_t dim, bool keepdim) {
  const int64_t d = normalize_dim(op_quantile, dim, x->rank());
  const Tensor y = make(op_quantile, QuantileAttrs{q, d}, {as_float(x)});
  return keepdim ? unsqueeze(y, d) : y;
}

}  // namespace nacre
