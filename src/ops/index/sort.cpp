#include <algorithm>
#include <numeric>

#include "ops/index/index.h"

namespace nacre {
namespace {

struct SortAttrs {
  int64_t dim = 0;
  bool descending = false;
  void fields(FieldVisitor& v) {
    v("dim", dim);
    v("descending", descending);
  }
};
struct TopkAttrs {
  int64_t k = 1, dim = 0;
  bool largest = true;
  void fields(FieldVisitor& v) {
    v("k", k);
    v("dim", dim);
    v("largest", largest);
  }
};

/// The first `count` of each row in order; NaN is the largest, equal values keep their order.
void sort_rows(Ref& r, int64_t dim, bool descending, int64_t count) {
  const bool scalar = r.in().shape.empty();
  const Around a = scalar ? Around{} : around(r.in().shape, dim);
  std::vector<int64_t> order(static_cast<size_t>(a.size));
  r.typed([&](auto* x, auto* y) {
    for (int64_t o = 0; o < a.outer; ++o)
      for (int64_t i = 0; i < a.inner; ++i) {
        const auto at = [&](int64_t j) { return x[(o * a.size + j) * a.inner + i]; };
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) {
          if (descending) std::swap(p, q);
          return at(p) < at(q) || (at(p) == at(p) && at(q) != at(q));
        });
        for (int64_t j = 0; j < count; ++j) {
          const int64_t to = (o * count + j) * a.inner + i;
          y[to] = at(order[static_cast<size_t>(j)]);
          r.out(1).i[to] = order[static_cast<size_t>(j)];
        }
      }
  });
}

/// Gradient of values that were picked at the positions of output 1.
void picked_vjp(Vjp& v, int64_t dim) {
  v.dx(0) = v.x(0).rank() == 0 ? v.dy() : scatter(zeros_like(v.x(0)), dim, v.y(1), v.dy(), "add");
}

int64_t dim_of(const OpDef& op, const Tensor& x, int64_t dim) {
  return normalize_dim(op, dim, std::max<int64_t>(1, x.rank()));
}

}  // namespace

/// Values in order along one dimension, and their positions (i64) in x. Stable; NaN counts as the
/// largest. x: any shape and type. The positions have no gradient.
API(Tensors sort(In x, int64_t dim = -1, bool descending = false))
/// The positions that sort x along one dimension, i64.
API(Tensor argsort(In x, int64_t dim = -1, bool descending = false))

OP(sort) = {
    .name = "sort",
    .attrs = attr_type<SortAttrs>(),
    .infer =
        [](Infer& in) {
          in.out(in.dtype(0), in.shape(0));
          in.out(DType::i64, in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<SortAttrs>();
          sort_rows(r, a.dim, a.descending, r.in().shape.empty() ? 1 : r.in().shape[a.dim]);
        },
    .vjp = [](Vjp& v) { picked_vjp(v, v.attrs<SortAttrs>().dim); },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 5})}, [](const Tensors& x) { return sort(x[0]); },
              "tuple({0}.sort(stable=True))");
          s.add(
              {s.uniform({4, 2, 3})}, [](const Tensors& x) { return sort(x[0], 0, true); },
              "tuple({0}.sort(0, descending=True))");
          s.add(
               {s.at({2, NAN, 1, 2, -INFINITY, NAN})},
               [](const Tensors& x) {
                 return Tensors{sort(x[0])[0], argsort(x[0], 0, true)};
               },
               "({0}.sort()[0], {0}.sort(descending=True, stable=True)[1])")
              .check_grad = false;
          s.add(
              {s.integers({9}, 0, 4)}, [](const Tensors& x) { return Tensors{argsort(x[0])}; },
              "{0}.argsort(stable=True)");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return sort(x[0]); }, "tuple({0}.sort())");
          s.add(
              {s.uniform({0, 2})}, [](const Tensors& x) { return sort(x[0], 0); },
              "tuple({0}.sort(0))");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return sort(x[0], 1); }, "out of range");
        },
};

Tensors sort(In x, int64_t dim, bool descending) {
  return make_all(op_sort, SortAttrs{dim_of(op_sort, x, dim), descending}, {x});
}
Tensor argsort(In x, int64_t dim, bool descending) { return sort(x, dim, descending)[1]; }

/// The k largest (or smallest) values along one dimension in order, and their positions (i64) in x.
/// Of equal values the first come first. x: any type.
API(Tensors topk(In x, int64_t k, int64_t dim = -1, bool largest = true))

OP(topk) = {
    .name = "topk",
    .attrs = attr_type<TopkAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<TopkAttrs>();
          Shape out = in.shape(0);
          const int64_t size = out.empty() ? 1 : out[a.dim];
          in.check(a.k >= 0 && a.k <= size,
                   {"k ", a.k, " is out of range for dimension ", a.dim, " of size ", size});
          in.check(!out.empty() || a.k == 1, {"a scalar has one entry, k is ", a.k});
          if (!out.empty()) out[a.dim] = a.k;
          in.out(in.dtype(0), out);
          in.out(DType::i64, out);
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<TopkAttrs>();
          sort_rows(r, a.dim, a.largest, a.k);
        },
    .vjp = [](Vjp& v) { picked_vjp(v, v.attrs<TopkAttrs>().dim); },
    .onnx = "TopK",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 6})}, [](const Tensors& x) { return topk(x[0], 2); },
              "tuple({0}.topk(2))");
          s.add(
              {s.uniform({5, 3})}, [](const Tensors& x) { return topk(x[0], 4, 0, false); },
              "tuple({0}.topk(4, 0, largest=False))");
          s.add(
              {s.uniform({4})}, [](const Tensors& x) { return topk(x[0], 4); },
              "tuple({0}.topk(4))");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return topk(x[0], 1); },
              "tuple({0}.topk(1))");
          s.add(
              {s.integers({3, 4}, 0, 9)}, [](const Tensors& x) { return topk(x[0], 0); },
              "tuple({0}.topk(0))");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return topk(x[0], 4); },
              "k 4 is out of range for dimension 0 of size 3");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return topk(x[0], 1, 1); }, "out of range");
        },
};

Tensors topk(In x, int64_t k, int64_t dim, bool largest) {
  return make_all(op_topk, TopkAttrs{k, dim_of(op_topk, x, dim), largest}, {x});
}

}  // namespace nacre
