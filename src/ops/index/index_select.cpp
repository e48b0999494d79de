#include "ops/index/index.h"

namespace nacre {

/// Entries of one dimension by number, as numpy.take: dimension dim is replaced by the dimensions
/// of the index. x: any type; index: i64 or i32 of any rank. Negative indices count from the end;
/// others out of range are an Error(data) when computed.
API(Tensor index_select(In x, int64_t dim, In index))

OP(index_select) = {
    .name = "index_select",
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_index(1);
          in.out(in.dtype(0), selected_shape(in.shape(0), in.shape(1), in.attrs<DimAttrs>().dim));
        },
    .ref =
        [](Ref& r) {
          const int64_t dim = r.attrs<DimAttrs>().dim, n = r.in(1).n;
          const Around a = around(r.in().shape, dim);
          r.typed([&](auto* x, auto* y) {
            for (int64_t o = 0; o < a.outer; ++o)
              for (int64_t j = 0; j < n; ++j) {
                const int64_t at = checked_index(r, r.in(1), j, dim, a.size);
                std::copy_n(x + (o * a.size + at) * a.inner, a.inner, y + (o * n + j) * a.inner);
              }
          });
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = index_add(zeros_like(v.x(0)), v.attrs<DimAttrs>().dim, v.x(1), v.dy());
        },
    .onnx = "Gather",
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim) {
            return [dim](const Tensors& x) { return Tensors{index_select(x[0], dim, x[1])}; };
          };
          s.add({s.uniform({3, 4}), s.ints_at({3, 0, 3}, {3})}, call(-1),
                "{0}.index_select(1, {1})");
          s.add({s.uniform({5, 2}), s.integers({2, 3}, -5, 5)}, call(0), "{0}[{1}]");
          s.add({s.uniform({2, 5, 3}), s.ints_at({4}, {}, DType::i32)}, call(1), "{0}[:, 4]");
          s.add({s.integers({4}, 0, 9), s.integers({0}, 0, 4)}, call(0), "{0}[{1}]");
          s.bad({s.uniform({3}), s.uniform({2})}, call(0), "indices are i64 or i32");
          s.bad({s.uniform({3}), s.integers({2}, 0, 3)}, call(1), "out of range");
        },
};

Tensor index_select(In x, int64_t dim, In index) {
  return make(op_index_select, DimAttrs{normalize_dim(op_index_select, dim, x->rank())},
              {x, index});
}

/// x with the parts of src added at numbered entries of one dimension; parts with the same number
/// add up. The shape of src is that of index_select(x, dim, index).
API(Tensor index_add(In x, int64_t dim, In index, In src))
/// How often each of 0..bins-1 occurs among the values of x. x: i64 or i32, any shape.
API(Tensor bincount(In x, int64_t bins))

OP(index_add) = {
    .name = "index_add",
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_index(1);
          in.check(in.dtype(2) == in.dtype(0),
                   {"src has type ", in.dtype(2), ", x has ", in.dtype(0)});
          const Shape want = selected_shape(in.shape(0), in.shape(1), in.attrs<DimAttrs>().dim);
          in.check(in.shape(2) == want, {"src has shape ", in.shape(2), ", expected ", want});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const int64_t dim = r.attrs<DimAttrs>().dim, n = r.in(1).n;
          const Around a = around(r.in().shape, dim);
          r.typed([&](auto* x, auto* y) { std::copy_n(x, r.in().n, y); });
          r.typed(
              [&](auto* src, auto* y) {
                for (int64_t o = 0; o < a.outer; ++o)
                  for (int64_t j = 0; j < n; ++j) {
                    const int64_t at = checked_index(r, r.in(1), j, dim, a.size);
                    for (int64_t i = 0; i < a.inner; ++i)
                      y[(o * a.size + at) * a.inner + i] += src[(o * n + j) * a.inner + i];
                  }
              },
              2);
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = v.dy();
          if (v.wants(2)) v.dx(2) = index_select(v.dy(), v.attrs<DimAttrs>().dim, v.x(1));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim) {
            return [dim](const Tensors& x) { return Tensors{index_add(x[0], dim, x[1], x[2])}; };
          };
          s.add({s.uniform({3, 4}), s.ints_at({3, 0, 3}, {3}), s.uniform({3, 3})}, call(-1),
                "{0}.index_add(1, {1}, {2})");
          s.add({s.uniform({5, 2}), s.integers({2, 3}, 0, 5), s.uniform({2, 3, 2})}, call(0),
                "{0}.index_add(0, {1}.flatten(), {2}.flatten(0, 1))");
          s.add({s.integers({4}, 0, 9), s.integers({0}, 0, 4), s.integers({0}, 0, 4)}, call(0),
                "{0}");
          s.add(
              {s.integers({7}, 0, 4)}, [](const Tensors& x) { return Tensors{bincount(x[0], 5)}; },
              "torch.bincount({0}, minlength=5)");
          s.bad({s.uniform({3, 4}), s.integers({2}, 0, 4), s.uniform({2, 3})}, call(1),
                "src has shape 2x3, expected 3x2");
          s.bad({s.uniform({3}), s.boolean({3}), s.uniform({3})}, call(0),
                "indices are i64 or i32");
        },
};

Tensor index_add(In x, int64_t dim, In index, In src) {
  const auto [a, b] = unify(x, src);
  return make(op_index_add, DimAttrs{normalize_dim(op_index_add, dim, a.rank())}, {a, index, b});
}

Tensor bincount(In x, int64_t bins) {
  return index_add(zeros({bins}, DType::i64), 0, x, ones(x->shape(), DType::i64));
}

}  // namespace nacre
