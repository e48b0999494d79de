#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
/// Sparsemax along one dimension: the Euclidean projection onto the probability simplex, max(x -
/// tau, 0) with tau such that it sums to 1 (Martins and Astudillo, 2016). Small entries become
/// exactly 0. x: any shape, floating, the dimension not empty.
API(Tensor sparsemax(In x, int64_t dim = -1))

OP(sparsemax) = {
    .name = "sparsemax",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<DimAttrs>().dim;
          in.check_float(0);
          in.check(in.shape(0)[dim] > 0, {"dimension ", dim, " has no elements"});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      // With entries sorted downwards the support is the longest prefix with 1 + k z_k > z_1 + ...
      // + z_k. From the largest entry on, so that large inputs lose no digits.
      const Tensor x = in[0] - stop_gradient(amax(in[0], {a.dim}, true));
      const Tensor z = sort(x, a.dim, true)[0];
      const Tensor k = cumsum(ones_like(z), a.dim);
      const Tensor support = gt(k * z + 1.0, cumsum(z, a.dim));
      const Tensor size = cast(sum(support, {a.dim}, true), x.dtype());
      return {relu(x - (sum(where(support, z, 0.0), {a.dim}, true) - 1.0) / size)};
    },
    .vjp =
        [](Vjp& v) {
          // Within the support the mean is taken off; outside nothing passes.
          const Ints dim = {v.attrs<DimAttrs>().dim};
          const Tensor support = gt(v.y(), 0.0);
          const Tensor g = where(support, v.dy(), 0.0);
          const Tensor size = cast(sum(support, dim, true), v.dy().dtype());
          v.dx(0) = where(support, g - sum(g, dim, true) / size, 0.0);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 5}, -1, 1)}, [](const Tensors& x) { return Tensors{sparsemax(x[0])}; },
              "(lambda x, z: (lambda k, c: (lambda n: torch.relu(x - (c.gather(-1, n - 1) - 1) / "
              "n))(((z * k + 1 > c).sum(-1, keepdim=True))))(torch.arange(1, x.shape[-1] + 1, "
              "dtype=x.dtype).reshape(-1), z.cumsum(-1)))({0}, {0}.sort(-1, "
              "descending=True).values)");
          s.add(
              {s.uniform({2, 4, 3}, -1, 1)},
              [](const Tensors& x) { return Tensors{sparsemax(x[0], 1)}; },
              "(lambda x, z: (lambda k, c: (lambda n: torch.relu(x - (c.gather(1, n - 1) - 1) / "
              "n))(((z * k + 1 > c).sum(1, keepdim=True))))(torch.arange(1, x.shape[1] + 1, "
              "dtype=x.dtype).reshape(-1, 1), z.cumsum(1)))({0}, {0}.sort(1, "
              "descending=True).values)");
          s.add(
               {s.at({0, 0, 0, 100, 0, -100, 1, 0, 1}, {3, 3})},
               [](const Tensors& x) { return Tensors{sparsemax(x[0])}; },
               "(lambda x, z: (lambda k, c: (lambda n: torch.relu(x - (c.gather(-1, n - 1) - 1) / "
               "n))(((z * k + 1 > c).sum(-1, keepdim=True))))(torch.arange(1, x.shape[-1] + 1, "
               "dtype=x.dtype).reshape(-1), z.cumsum(-1)))({0}, {0}.sort(-1, "
               "descending=True).values)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{sparsemax(x[0])}; },
              "{0} * 1");
          s.bad(
              {s.uniform({2, 0})}, [](const Tensors& x) { return Tensors{sparsemax(x[0])}; },
              "has no elements");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{sparsemax(x[0], 2)}; },
              "out of range");
        },
};

Tensor sparsemax(In x, int64_t dim) {
  return make(op_sparsemax, DimAttrs{normalize_dim(op_sparsemax, dim, x->rank())}, {x});
}

}  // namespace nacre
