#include "ops/op.h"

namespace nacre {
/// Swish-gated linear unit (Shazeer, 2020): silu of the first half along a dimension times the
/// second. x: any shape, floating; the size of the dimension is even and halves.
API(Tensor swiglu(In x, int64_t dim = -1))

OP(swiglu) = {
    .name = "swiglu",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<DimAttrs>().dim;
          in.check_float(0);
          in.check(in.shape(0)[dim] % 2 == 0,
                   {"dimension ", dim, " has the odd size ", in.shape(0)[dim]});
          Shape s = in.shape(0);
          s[dim] /= 2;
          in.out(in.dtype(0), s);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      const int64_t half = in[0].size(a.dim) / 2;
      const Tensor first = narrow(in[0], a.dim, 0, half), second = narrow(in[0], a.dim, half, half);
      return {silu(first) * second};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4})}, [](const Tensors& x) { return Tensors{swiglu(x[0])}; },
              "(lambda g, u: F.silu(g) * u)(*{0}.chunk(2, -1))");
          s.add(
              {s.uniform({2, 6, 3}, -3, 3)},
              [](const Tensors& x) { return Tensors{swiglu(x[0], 1)}; },
              "(lambda g, u: F.silu(g) * u)(*{0}.chunk(2, 1))");
          s.add(
              {s.uniform({0, 4})}, [](const Tensors& x) { return Tensors{swiglu(x[0], 1)}; },
              "(lambda g, u: F.silu(g) * u)(*{0}.chunk(2, 1))");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{swiglu(x[0])}; },
              "dimension 1 has the odd size 3");
          s.bad(
              {s.uniform({2, 4})}, [](const Tensors& x) { return Tensors{swiglu(x[0], 2)}; },
              "out of range");
        },
};

Tensor swiglu(In x, int64_t dim) {
  return make(op_swiglu, DimAttrs{normalize_dim(op_swiglu, dim, x->rank())}, {x});
}

}  // namespace nacre
