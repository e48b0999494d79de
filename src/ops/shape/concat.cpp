#include "ops/op.h"

namespace nacre {
namespace {
/// All in the type that they have in common.
Tensors of_one_type(const Tensors& xs, const char* op) {
  if (xs.empty()) fail(Error::Kind::shape, {"[", op, "] needs at least one tensor", where()});
  DType type = xs[0].dtype();
  for (const Tensor& x : xs) type = promote(type, x.dtype());
  Tensors all;
  for (const Tensor& x : xs) all.push_back(cast(x, type));
  return all;
}
}  // namespace

/// Tensors one after another along an existing dimension.
/// xs: any types (promoted), shapes equal in all other dimensions.
API(Tensor concat(Ins xs, int64_t dim = 0))
/// Tensors of one shape side by side along a new dimension, which is at position dim of the result.
API(Tensor stack(Ins xs, int64_t dim = 0))

OP(concat) = {
    .name = "concat",
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<DimAttrs>().dim;
          in.check_same_dtype();
          in.check(dim >= 0 && dim < in.rank(0),
                   {"dimension ", dim, " is out of range for rank ", in.rank(0)});
          Shape out = in.shape(0);
          for (size_t k = 1; k < in.inputs(); ++k) {
            const Shape& s = in.shape(k);
            in.check(s.rank() == out.rank(),
                     {"input ", k, " has rank ", s.rank(), ", input 0 has ", out.rank()});
            for (int64_t d = 0; d < s.rank(); ++d)
              in.check(d == dim || s[d] == out[d], {"input ", k, " has size ", s[d],
                                                    " in dimension ", d, ", input 0 has ", out[d]});
            out[dim] += s[dim];
          }
          in.out(in.dtype(0), out);
        },
    .ref =
        [](Ref& r) {
          const int64_t dim = r.attrs<DimAttrs>().dim;
          const Around y = around(r.out().shape, dim);
          int64_t before = 0;
          for (size_t k = 0; k < r.inputs(); ++k) {
            const Around x = around(r.in(k).shape, dim);
            r.typed(
                [&](auto* from, auto* to) {
                  for (int64_t o = 0; o < x.outer; ++o)
                    std::copy(from + o * x.size * x.inner, from + (o + 1) * x.size * x.inner,
                              to + (o * y.size + before) * y.inner);
                },
                k);
            before += x.size;
          }
        },
    .vjp =
        [](Vjp& v) {
          const int64_t dim = v.attrs<DimAttrs>().dim;
          int64_t at = 0;
          for (size_t k = 0; k < v.inputs(); ++k) {
            const int64_t n = v.x(k).size(dim);
            if (v.wants(k)) v.dx(k) = narrow(v.dy(), dim, at, n);
            at += n;
          }
        },
    .onnx = "Concat",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3}), s.uniform({2, 1}), s.uniform({2, 2})},
              [](const Tensors& x) { return Tensors{concat(x, -1)}; },
              "torch.cat(({0}, {1}, {2}), -1)");
          s.add(
              {s.uniform({0, 3}), s.uniform({2, 3})},
              [](const Tensors& x) { return Tensors{concat(x)}; }, "torch.cat(({0}, {1}))");
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{concat({x[0], x[0]}, 1)};
              },
              "torch.cat(({0}, {0}), 1)");
          s.add(
              {s.integers({2}, 0, 9), s.boolean({3})},
              [](const Tensors& x) { return Tensors{concat(x)}; }, "torch.cat(({0}, {1}))");
          s.add(
              {s.uniform({2, 3}), s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{stack(x), stack(x, -1), stack(x, 1)};
              },
              "(torch.stack(({0}, {1})), torch.stack(({0}, {1}), -1), torch.stack(({0}, {1}), 1))");
          s.add(
              {s.uniform({}), s.uniform({})}, [](const Tensors& x) { return Tensors{stack(x)}; },
              "torch.stack(({0}, {1}))");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3, 3})},
              [](const Tensors& x) { return Tensors{concat(x, 1)}; },
              "input 1 has size 3 in dimension 0, input 0 has 2");
          s.bad(
              {s.uniform({2}), s.uniform({2, 2})},
              [](const Tensors& x) { return Tensors{concat(x)}; },
              "input 1 has rank 2, input 0 has 1");
          s.bad(
              {}, [](const Tensors& x) { return Tensors{concat(x)}; }, "at least one tensor");
          s.bad(
              {s.uniform({}), s.uniform({})}, [](const Tensors& x) { return Tensors{concat(x)}; },
              "out of range");
        },
};

Tensor concat(Ins xs, int64_t dim) {
  const Tensors all = of_one_type(xs, "concat");
  return make(op_concat, box(DimAttrs{normalize_dim(op_concat, dim, all[0].rank())}), all);
}

Tensor stack(Ins xs, int64_t dim) {
  const Tensors all = of_one_type(xs, "stack");
  Tensors wide;
  for (const Tensor& x : all) {
    if (x.shape() != all[0].shape())
      fail(Error::Kind::shape,
           {"[stack] shapes ", all[0].shape(), " and ", x.shape(), " differ", where()});
    wide.push_back(unsqueeze(x, dim));
  }
  return concat(wide, normalize_dim(op_concat, dim, all[0].rank() + 1));
}

}  // namespace nacre
