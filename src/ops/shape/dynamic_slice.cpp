#include "ops/op.h"

namespace nacre {
namespace {

struct DynamicSliceAttrs {
  int64_t dim = 0, size = 0;
  void fields(FieldVisitor& v) {
    v("dim", dim);
    v("size", size);
  }
};
void check_start(const Infer& in, size_t i) {
  in.check_index(i);
  in.check_rank(i, 0);
}

int64_t checked_start(Ref& r, size_t i, int64_t dim, int64_t size) {
  const int64_t start = r.in(i).i[0], whole = r.in(0).shape[dim];
  if (start < 0 || start > whole - size)
    r.fail(Error::Kind::data,
           {size, " entries from ", start, " leave dimension ", dim, " of size ", whole});
  return start;
}

}  // namespace

/// `size` entries of one dimension from a position that is known only when the plan runs, so that
/// another position does not compile another plan. start: 0-d i64 or i32, 0..size of the dimension
/// - size. x: any type.
API(Tensor dynamic_slice(In x, In start, int64_t size, int64_t dim = 0))
/// x with src written over it from position `start` of one dimension, known only when the plan
/// runs: how a key/value cache grows. src has the shape of x except in that dimension.
API(Tensor dynamic_update(In x, In src, In start, int64_t dim = 0))

OP(dynamic_slice) = {
    .name = "dynamic_slice",
    .attrs = attr_type<DynamicSliceAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<DynamicSliceAttrs>();
          check_start(in, 1);
          Shape out = in.shape(0);
          in.check(
              a.size >= 0 && a.size <= out[a.dim],
              {"cannot take ", a.size, " entries of dimension ", a.dim, " of size ", out[a.dim]});
          out[a.dim] = a.size;
          in.out(in.dtype(0), out);
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<DynamicSliceAttrs>();
          const int64_t start = checked_start(r, 1, a.dim, a.size);
          const Around x = around(r.in().shape, a.dim);
          r.typed([&](auto* from, auto* to) {
            for (int64_t o = 0; o < x.outer; ++o)
              std::copy_n(from + (o * x.size + start) * x.inner, a.size * x.inner,
                          to + o * a.size * x.inner);
          });
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) =
              dynamic_update(zeros_like(v.x(0)), v.dy(), v.x(1), v.attrs<DynamicSliceAttrs>().dim);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 6}), s.ints_at({2}, {})},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 3, 1)}; },
              "{0}[:, 2:5]");
          s.add(
              {s.uniform({4}), s.ints_at({4}, {}, DType::i32)},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 0)}; }, "{0}[4:]");
          s.add(
              {s.integers({4, 2}, 0, 9), s.ints_at({0}, {})},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 4, -2)}; }, "{0}");
          s.bad(
              {s.uniform({3}), s.ints_at({0}, {})},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 4)}; },
              "cannot take 4 entries of dimension 0 of size 3");
          s.bad(
              {s.uniform({3}), s.ints_at({0}, {1})},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 1)}; }, "rank 1");
          s.bad(
              {s.uniform({3}), s.uniform({})},
              [](const Tensors& x) { return Tensors{dynamic_slice(x[0], x[1], 1)}; },
              "indices are i64 or i32");
        },
};

OP(dynamic_update) = {
    .name = "dynamic_update",
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<DimAttrs>().dim;
          check_start(in, 2);
          in.check(in.dtype(1) == in.dtype(0),
                   {"src has type ", in.dtype(1), ", x has ", in.dtype(0)});
          Shape part = in.shape(1);
          in.check(
              part.size() == in.shape(0).size() && part[dim] <= in.shape(0)[dim],
              {"src of shape ", part, " does not fit into dimension ", dim, " of ", in.shape(0)});
          part[dim] = in.shape(0)[dim];
          in.check(part == in.shape(0), {"src of shape ", in.shape(1), " differs from x of shape ",
                                         in.shape(0), " in other dimensions than ", dim});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const int64_t dim = r.attrs<DimAttrs>().dim, n = r.in(1).shape[dim];
          const int64_t start = checked_start(r, 2, dim, n);
          const Around x = around(r.in().shape, dim);
          r.typed([&](auto* from, auto* to) { std::copy_n(from, r.in().n, to); });
          r.typed(
              [&](auto* from, auto* to) {
                for (int64_t o = 0; o < x.outer; ++o)
                  std::copy_n(from + o * n * x.inner, n * x.inner,
                              to + (o * x.size + start) * x.inner);
              },
              1);
        },
    .vjp =
        [](Vjp& v) {
          const int64_t dim = v.attrs<DimAttrs>().dim;
          if (v.wants(0)) v.dx(0) = dynamic_update(v.dy(), zeros_like(v.x(1)), v.x(2), dim);
          if (v.wants(1)) v.dx(1) = dynamic_slice(v.dy(), v.x(2), v.x(1).size(dim), dim);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim) {
            return
                [dim](const Tensors& x) { return Tensors{dynamic_update(x[0], x[1], x[2], dim)}; };
          };
          s.add({s.uniform({3, 6}), s.uniform({3, 2}), s.ints_at({3}, {})}, call(-1),
                "torch.slice_scatter({0}, {1}, 1, 3, 5)");
          s.add({s.uniform({4}), s.uniform({0}), s.ints_at({4}, {})}, call(0), "{0}");
          s.add(
              {s.integers({2, 2}, 0, 9), s.integers({1, 2}, 0, 9), s.ints_at({1}, {}, DType::i32)},
              call(0), "torch.slice_scatter({0}, {1}, 0, 1, 2)");
          s.bad({s.uniform({3}), s.uniform({4}), s.ints_at({0}, {})}, call(0), "does not fit");
          s.bad({s.uniform({3, 2}), s.uniform({2, 1}), s.ints_at({0}, {})}, call(0),
                "in other dimensions than 0");
        },
};

Tensor dynamic_slice(In x, In start, int64_t size, int64_t dim) {
  return make(op_dynamic_slice,
              DynamicSliceAttrs{normalize_dim(op_dynamic_slice, dim, x->rank()), size}, {x, start});
}

Tensor dynamic_update(In x, In src, In start, int64_t dim) {
  const auto [a, b] = unify(x, src);
  return make(op_dynamic_update, DimAttrs{normalize_dim(op_dynamic_update, dim, a.rank())},
              {a, b, start});
}

}  // namespace nacre
