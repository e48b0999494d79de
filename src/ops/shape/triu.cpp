#include "ops/op.h"

namespace nacre {
namespace {

struct TriangleAttrs {
  int64_t k = 0;
  void fields(FieldVisitor& v) { v("k", k); }
};

void infer_triangle(Infer& in) {
  in.check(in.rank(0) >= 2, {"a matrix is needed, the input has rank ", in.rank(0)});
  in.out(in.dtype(0), in.shape(0));
}

/// Keeps entries where keep(row, column) holds.
template <typename F>
void triangle(Ref& r, F keep) {
  const int64_t rows = r.in().shape[-2], columns = r.in().shape[-1];
  r.typed([&](auto* x, auto* y) {
    for (int64_t i = 0; i < r.in().n; ++i)
      if (keep(i / columns % rows, i % columns)) y[i] = x[i];
  });
}

/// Column minus row, for each place of a matrix.
Tensor diagonal_number(const Tensor& x) {
  return arange(x.size(-1)) - unsqueeze(arange(x.size(-2)), 1);
}

void triangle_samples(Samples& s, Tensor (*f)(In, int64_t), const std::string& name) {
  const auto call = [f](int64_t k) {
    return [=](const Tensors& x) { return Tensors{f(x[0], k)}; };
  };
  s.add({s.uniform({3, 4})}, call(0), "{0}." + name + "()");
  s.add({s.uniform({2, 4, 3})}, call(1), "{0}." + name + "(1)");
  s.add({s.integers({4, 4}, 0, 9)}, call(-2), "{0}." + name + "(-2)");
  s.add({s.uniform({0, 3})}, call(0), "{0}." + name + "()");
  s.bad({s.uniform({3})}, call(0), "a matrix is needed");
}

}  // namespace

/// The upper triangle of matrices, the rest zero: entries on diagonal k and above. k counts from
/// the main diagonal upwards. x: ...xMxN, any type.
API(Tensor triu(In x, int64_t k = 0))

OP(triu) = {
    .name = "triu",
    .kind = OpKind::composite,
    .attrs = attr_type<TriangleAttrs>(),
    .infer = infer_triangle,
    .ref =
        [](Ref& r) {
          const int64_t k = r.attrs<TriangleAttrs>().k;
          triangle(r, [k](int64_t i, int64_t j) { return j - i >= k; });
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const int64_t k = static_cast<const TriangleAttrs*>(attrs)->k;
          return Tensors{masked_fill(in[0], lt(diagonal_number(in[0]), k), 0)};
        },
    .vjp = [](Vjp& v) { v.dx(0) = triu(v.dy(), v.attrs<TriangleAttrs>().k); },
    .onnx = "Trilu",
    .samples = [](Samples& s) { triangle_samples(s, triu, "triu"); },
};

Tensor triu(In x, int64_t k) { return make(op_triu, TriangleAttrs{k}, {x}); }

/// The lower triangle of matrices, the rest zero: entries on diagonal k and below. k counts from
/// the main diagonal upwards. x: ...xMxN, any type.
API(Tensor tril(In x, int64_t k = 0))

OP(tril) = {
    .name = "tril",
    .kind = OpKind::composite,
    .attrs = attr_type<TriangleAttrs>(),
    .infer = infer_triangle,
    .ref =
        [](Ref& r) {
          const int64_t k = r.attrs<TriangleAttrs>().k;
          triangle(r, [k](int64_t i, int64_t j) { return j - i <= k; });
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const int64_t k = static_cast<const TriangleAttrs*>(attrs)->k;
          return Tensors{masked_fill(in[0], gt(diagonal_number(in[0]), k), 0)};
        },
    .vjp = [](Vjp& v) { v.dx(0) = tril(v.dy(), v.attrs<TriangleAttrs>().k); },
    .onnx = "Trilu",
    .samples = [](Samples& s) { triangle_samples(s, tril, "tril"); },
};

Tensor tril(In x, int64_t k) { return make(op_tril, TriangleAttrs{k}, {x}); }

}  // namespace nacre
