#include "ops/index/index.h"

namespace nacre {

/// Entries of one dimension picked by an index for each place of the result: for a matrix and dim 0
/// y[i][j] = x[index[i][j]][j]. Also known as take_along_axis. x: any type; index: i64 or i32, the
/// rank of x and nowhere larger, dim aside. Negative indices count from the end; others out of
/// range are an Error(data) when computed.
API(Tensor gather(In x, int64_t dim, In index))

OP(gather) = {
    .name = "gather",
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          check_along(in, in.attrs<DimAttrs>().dim);
          in.out(in.dtype(0), in.shape(1));
        },
    .ref =
        [](Ref& r) {
          const Shape& shape = r.in(1).shape;
          r.typed([&](auto* x, auto* y) {
            for_indexed(r, r.in(1), r.in().shape, shape, r.attrs<DimAttrs>().dim,
                        [&](int64_t k, int64_t from, int64_t) { y[k] = x[from]; });
          });
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = scatter(zeros_like(v.x(0)), v.attrs<DimAttrs>().dim, v.x(1), v.dy(), "add");
        },
    .onnx = "GatherElements",
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim) {
            return [dim](const Tensors& x) { return Tensors{gather(x[0], dim, x[1])}; };
          };
          s.add({s.uniform({3, 4}), s.integers({2, 4}, 0, 3)}, call(0), "{0}.gather(0, {1})");
          s.add({s.uniform({3, 4, 2}), s.integers({3, 6, 1}, 0, 4)}, call(-2),
                "{0}.gather(1, {1})");
          s.add({s.uniform({5}), s.ints_at({-1, -5, 2}, {3}, DType::i32)}, call(0),
                "{0}.gather(0, {1}.long() % 5)");
          s.add({s.integers({3, 4}, 0, 9), s.integers({3, 0}, 0, 4)}, call(1),
                "{0}.gather(1, {1})");
          s.bad({s.uniform({3, 4}), s.integers({4}, 0, 3)}, call(0),
                "the index has rank 1, the input has 2");
          s.bad({s.uniform({3, 4}), s.integers({2, 5}, 0, 3)}, call(0),
                "the index has size 5 in dimension 1, the input has 4");
          s.bad({s.uniform({3}), s.uniform({3})}, call(0), "indices are i64 or i32");
          s.bad({s.uniform({3}), s.integers({3}, 0, 3)}, call(1), "out of range");
        },
};

Tensor gather(In x, int64_t dim, In index) {
  return make(op_gather, DimAttrs{normalize_dim(op_gather, dim, x->rank())}, {x, index});
}

}  // namespace nacre
