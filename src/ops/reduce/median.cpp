#include "ops/op.h"

namespace nacre {
/// Median along one dimension: the middle element, the lower of two; NaN if there is one.
/// x: any shape and numeric type, the dimension not empty.
API(Tensor median(In x, int64_t dim, bool keepdim = false))

OP(median) = {
    .name = "median",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<DimAttrs>().dim;
          in.check(in.shape(0)[dim] > 0, {"dimension ", dim, " has no elements"});
          Shape s = in.shape(0);
          s.erase(dim);
          in.out(in.dtype(0), s);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      const int64_t n = in[0].size(a.dim);
      const Tensor z = sort(in[0], a.dim)[0];
      const Tensor middle = select(z, a.dim, (n - 1) / 2);
      if (!is_float(z.dtype())) return {middle};
      const Tensor last = select(z, a.dim, n - 1);  // where sorting puts NaN
      return {where(isnan(last), last, middle)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 5})}, [](const Tensors& x) { return Tensors{median(x[0], 1)}; },
              "{0}.median(1).values");
          s.add(
              {s.uniform({4, 2, 3})},
              [](const Tensors& x) { return Tensors{median(x[0], 0, true)}; },
              "{0}.median(0, keepdim=True).values");
          s.add(
               {s.at({1, NAN, 3, 4, 2, 1}, {2, 3})},
               [](const Tensors& x) { return Tensors{median(x[0], 1)}; }, "{0}.median(1).values")
              .check_grad = false;
          s.add(
              {s.integers({3, 4}, -99, 99)},
              [](const Tensors& x) { return Tensors{median(x[0], -1)}; }, "{0}.median(-1).values");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{median(x[0], 1)}; },
              "{0}.median(1).values");
          s.bad(
              {s.uniform({2, 0})}, [](const Tensors& x) { return Tensors{median(x[0], 1)}; },
              "has no elements");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{median(x[0], 2)}; },
              "out of range");
        },
};

Tensor median(In x, int64_t dim, bool keepdim) {
  const int64_t d = normalize_dim(op_median, dim, x->rank());
  const Tensor y = make(op_median, DimAttrs{d}, {x});
  return keepdim ? unsqueeze(y, d) : y;
}

}  // namespace nacre
