#include <numeric>

#include "ops/index/index.h"

namespace nacre {
namespace {

struct ScatterAttrs {
  int64_t dim = 0;
  std::string reduce = "set";
  void fields(FieldVisitor& v) {
    v("dim", dim);
    v("reduce", reduce);
  }
};

template <typename T>
void combine(const std::string& how, T& y, T v) {
  if (how == "add")
    y = y + v;
  else if (how == "mul")
    y = y * v;
  else if (how == "max")
    y = v > y || v != v ? v : y;
  else if (how == "min")
    y = v < y || v != v ? v : y;
  else
    y = v;
}

Tensor float_mask(const Tensor& condition, DType type) { return cast(condition, type); }

/// Row-major numbers of the entries of an index.
Tensor numbers(const Shape& shape) {
  std::vector<int64_t> n(static_cast<size_t>(shape.numel()));
  std::iota(n.begin(), n.end(), 0);
  return Tensor::from(n, shape);
}

/// Of several entries for one place the last one wins, and it alone has a gradient.
Tensor winners(const Vjp& v, int64_t dim, DType type) {
  const Tensor& index = v.x(1);
  const Tensor mine = numbers(index.shape());
  const Tensor last = scatter(zeros(v.x(0).shape(), DType::i64), dim, index, mine);
  return float_mask(eq(gather(last, dim, index), mine), type);
}

}  // namespace

/// x with entries of src put at the places that an index names: for a matrix and dim 0
/// y[index[i][j]][j] = src[i][j]. reduce says how they meet what is there: "set" (the last of
/// several wins), "add", "mul", "max" or "min". index: i64 or i32, negative from the end, out of
/// range an Error(data) when computed; src: nowhere smaller than the index. Second derivatives of
/// "mul" hold where no entry of src that shares its place with others is zero.
API(Tensor scatter(In x, int64_t dim, In index, In src, const std::string& reduce = "set"))

OP(scatter) = {
    .name = "scatter",
    .attrs = attr_type<ScatterAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ScatterAttrs>();
          check_along(in, a.dim);
          in.check(a.reduce == "set" || a.reduce == "add" || a.reduce == "mul" ||
                       a.reduce == "max" || a.reduce == "min",
                   {"unknown reduce '", a.reduce, "', known are set, add, mul, max and min"});
          in.check(in.dtype(2) == in.dtype(0),
                   {"src has type ", in.dtype(2), ", x has ", in.dtype(0)});
          in.check(in.rank(2) == in.rank(1),
                   {"src has rank ", in.rank(2), ", the index has ", in.rank(1)});
          for (int64_t d = 0; d < in.rank(1); ++d)
            in.check(in.shape(1)[d] <= in.shape(2)[d],
                     {"the index has size ", in.shape(1)[d], " in dimension ", d, ", src has ",
                      in.shape(2)[d]});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<ScatterAttrs>();
          r.typed([&](auto* x, auto* y) { std::copy(x, x + r.in().n, y); });
          r.typed(
              [&](auto* src, auto* y) {
                for_indexed(r, r.in(1), r.in().shape, r.in(2).shape, a.dim,
                            [&](int64_t, int64_t to, int64_t from) {
                              combine(a.reduce, y[to], src[from]);
                            });
              },
              2);
        },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<ScatterAttrs>();
          const Tensor &x = v.x(0), &index = v.x(1), dy = v.dy();
          const DType type = x.dtype();
          Tensor src = v.x(2);
          const Ints front(src.shape().size(), 0);
          if (src.shape() != index.shape()) src = slices(src, front, index.shape());
          const auto at = [&](const Tensor& t) { return gather(t, a.dim, index); };
          Tensor dsrc;
          if (a.reduce == "add") {
            v.dx(0) = dy;
            dsrc = at(dy);
          } else if (a.reduce == "set") {
            v.dx(0) = scatter(dy, a.dim, index, zeros_like(src));
            if (v.wants(2)) dsrc = at(dy) * winners(v, a.dim, type);
          } else if (a.reduce == "mul") {
            // The product of all others: zeros are counted and left out of the product.
            v.dx(0) = dy * scatter(ones_like(x), a.dim, index, src, "mul");
            const Tensor zero = float_mask(eq(src, 0), type);
            const Tensor product = scatter(x, a.dim, index, src + zero, "mul");
            const Tensor others = at(scatter(zeros_like(x), a.dim, index, zero, "add")) - zero;
            dsrc = at(dy * product) / (src + zero) * float_mask(eq(others, 0), type);
          } else {
            // Equal extremes share the gradient.
            const Tensor own = float_mask(eq(x, v.y()), type);
            const Tensor theirs = float_mask(eq(src, at(v.y())), type);
            const Tensor each = dy / scatter(own, a.dim, index, theirs, "add");
            v.dx(0) = own * each;
            dsrc = theirs * at(each);
          }
          if (!v.wants(2)) return;
          Ints after = v.x(2).shape();
          for (int64_t d = 0; d < after.rank(); ++d) after[d] -= index.size(d);
          v.dx(2) = src.shape() == v.x(2).shape() ? dsrc : pad(dsrc, front, after);
        },
    .onnx = "ScatterElements",
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim, const char* reduce) {
            return
                [=](const Tensors& x) { return Tensors{scatter(x[0], dim, x[1], x[2], reduce)}; };
          };
          s.add({s.uniform({4, 3}), s.ints_at({3, 0, 1, 2, 1, 0}, {2, 3}), s.uniform({2, 3})},
                call(0, "set"), "{0}.scatter(0, {1}, {2})");
          s.add({s.uniform({4}), s.ints_at({1, 1, 1}, {3}), s.uniform({3})}, call(0, "set"),
                "{0}.index_put((torch.tensor([1]),), {2}[2:])");
          s.add({s.uniform({3, 4}), s.integers({3, 6}, 0, 4), s.uniform({3, 7})}, call(-1, "add"),
                "{0}.scatter_add(1, {1}, {2}[:, :6])");
          s.add({s.uniform({3, 4}), s.integers({2, 6}, 0, 4), s.uniform({3, 6})}, call(1, "mul"),
                "torch.cat(({0}[:2].scatter_reduce(1, {1}, {2}[:2], 'prod'), {0}[2:]))");
          s.add({s.at({2, 0, 3}), s.ints_at({0, 1, 2}, {3}), s.at({5, 4, 0})}, call(0, "mul"),
                "{0}.scatter_reduce(0, {1}, {2}, 'prod')");
          s.add({s.at({2, 3}), s.ints_at({0, 0, 1, 1}, {4}), s.at({0, 5, 0, 0})}, call(0, "mul"),
                "{0}.scatter_reduce(0, {1}, {2}, 'prod')")
              .check_grad = false;  // second derivatives
          s.add({s.uniform({3, 4}), s.integers({3, 6}, 0, 4), s.uniform({3, 6})}, call(1, "max"),
                "{0}.scatter_reduce(1, {1}, {2}, 'amax')");
          s.add({s.uniform({5}), s.integers({4}, 0, 5, DType::i32), s.uniform({4})}, call(0, "min"),
                "{0}.scatter_reduce(0, {1}.long(), {2}, 'amin')");
          s.add({s.uniform({2, 3}), s.integers({0, 3}, 0, 2), s.uniform({0, 3})}, call(0, "add"),
                "{0}.scatter_add(0, {1}, {2})");
          s.add({s.integers({3}, 0, 9), s.integers({5}, 0, 3), s.integers({5}, 0, 9)},
                call(0, "add"), "{0}.scatter_add(0, {1}, {2})");
          s.bad({s.uniform({3, 4}), s.integers({2}, 0, 3), s.uniform({2})}, call(0, "set"),
                "the index has rank 1");
          s.bad({s.uniform({3}), s.integers({4}, 0, 3), s.uniform({2})}, call(0, "set"),
                "the index has size 4 in dimension 0, src has 2");
          s.bad({s.uniform({3}), s.integers({2}, 0, 3), s.uniform({2})}, call(0, "mean"),
                "unknown reduce 'mean'");
          s.bad({s.uniform({3}), s.integers({2}, 0, 3), s.uniform({2, 1})}, call(0, "set"),
                "src has rank 2");
        },
};

Tensor scatter(In x, int64_t dim, In index, In src, const std::string& reduce) {
  const auto [a, b] = unify(x, src);
  return make(op_scatter, ScatterAttrs{normalize_dim(op_scatter, dim, a.rank()), reduce},
              {a, index, b});
}

}  // namespace nacre
