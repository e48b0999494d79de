#include "ops/op.h"

namespace nacre {
namespace {

struct ReshapeAttrs {
  Ints shape;
  void fields(FieldVisitor& v) { v("shape", shape); }
};

/// Strides of the same elements under another shape, or nothing if they would have to move.
std::optional<View> view(const void*, const Shape& in, const Shape& strides, const Shape& out) {
  if (in.numel() == 0) return View{contiguous_strides(out), 0};
  Shape result(out.size(), 1);
  int64_t i = 0, o = 0;
  while (i < in.rank() || o < out.rank()) {  // groups of dimensions with equal products
    const int64_t i0 = i, o0 = o;
    int64_t a = i < in.rank() ? in[i++] : 1, b = o < out.rank() ? out[o++] : 1;
    while (a != b) {
      if (a < b)
        a *= in[i++];
      else
        b *= out[o++];
    }
    while (i < in.rank() && in[i] == 1) ++i;
    while (o < out.rank() && out[o] == 1) ++o;
    int64_t stride = -1,
            expected = -1;  // innermost stride of the group, which must be one dense run
    for (int64_t d = i; d-- > i0;) {
      if (in[d] == 1) continue;
      if (stride < 0)
        stride = strides[d];
      else if (strides[d] != expected)
        return std::nullopt;
      expected = strides[d] * in[d];
    }
    if (stride < 0) stride = 1;
    for (int64_t d = o; d-- > o0;) {
      result[d] = stride;
      stride *= out[d];
    }
  }
  return View{result, 0};
}

}  // namespace

/// The same elements, in row-major order, under another shape. One entry may be -1 and is deduced.
/// x: any shape and type. Shares memory with x where strides allow it.
API(Tensor reshape(In x, const Shape& shape))
/// Merges dimensions first..last (negative from the end) into one.
API(Tensor flatten(In x, int64_t first = 0, int64_t last = -1))
/// Removes dimensions of size 1: those given, or all.
API(Tensor squeeze(In x, const Ints& dims = {}))
/// Adds a dimension of size 1 at position dim of the result.
API(Tensor unsqueeze(In x, int64_t dim))

OP(reshape) = {
    .name = "reshape",
    .kind = OpKind::view,
    .attrs = attr_type<ReshapeAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape& s = in.attrs<ReshapeAttrs>().shape;
          for (int64_t d : s) in.check(d >= 0, {"shape ", as_list(s), " has a negative entry"});
          in.check(s.numel() == in.shape(0).numel(),
                   {"cannot make ", s, " of ", in.shape(0).numel(), " elements"});
          in.out(in.dtype(0), s);
        },
    .ref = [](Ref& r) { r.typed([&](auto* x, auto* y) { std::copy(x, x + r.in().n, y); }); },
    .view = view,
    .vjp = [](Vjp& v) { v.dx(0) = reshape(v.dy(), v.x(0).shape()); },
    .onnx = "Reshape",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 6})},
              [](const Tensors& x) {
                return Tensors{reshape(x[0], {3, -1})};
              },
              "{0}.reshape(3, -1)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{reshape(permute(x[0], {2, 0, 1}), {4, 6})};
              },
              "{0}.permute(2, 0, 1).reshape(4, 6)");
          s.add(
              {s.uniform({1})}, [](const Tensors& x) { return Tensors{reshape(x[0], {})}; },
              "{0}.reshape(())");
          s.add(
              {s.uniform({0, 3})},
              [](const Tensors& x) {
                return Tensors{reshape(x[0], {3, 0, 2})};
              },
              "{0}.reshape(3, 0, 2)");
          s.add(
              {s.uniform({2, 1, 3})},
              [](const Tensors& x) {
                return Tensors{flatten(x[0], 1), squeeze(x[0]), unsqueeze(x[0], -1)};
              },
              "({0}.flatten(1), {0}.squeeze(), {0}.unsqueeze(-1))");
          s.bad(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{reshape(x[0], {4, 2})};
              },
              "cannot make 4x2 of 6");
        },
};

Tensor reshape(In x, const Shape& shape) {
  Shape s = shape;
  int64_t unknown = -1, known = 1;
  for (int64_t d = 0; d < s.rank(); ++d) {
    if (s[d] == -1 && unknown < 0)
      unknown = d;
    else
      known *= s[d];
  }
  if (unknown >= 0) s[unknown] = known ? x->numel() / known : 0;
  if (s == x->shape()) return x;
  return make(op_reshape, ReshapeAttrs{std::move(s)}, {x});
}

Tensor flatten(In x, int64_t first, int64_t last) {
  if (x->rank() == 0) return reshape(x, {1});
  first = normalize_dim(op_reshape, first, x->rank());
  last = normalize_dim(op_reshape, last, x->rank());
  Shape s = x->shape().slice(0, first);
  s.push_back(x->shape().slice(first, last + 1).numel());
  for (int64_t d = last + 1; d < x->rank(); ++d) s.push_back(x->size(d));
  return reshape(x, s);
}

Tensor squeeze(In x, const Ints& dims) {
  const Ints list = normalize_dims(op_reshape, dims, x->rank());
  Shape s;
  for (int64_t d = 0; d < x->rank(); ++d) {
    const bool named = std::find(list.begin(), list.end(), d) != list.end();
    if (!(named && x->size(d) == 1)) s.push_back(x->size(d));
  }
  return reshape(x, s);
}

Tensor unsqueeze(In x, int64_t dim) {
  Shape s = x->shape();
  s.insert(normalize_dim(op_reshape, dim, x->rank() + 1), 1);
  return reshape(x, s);
}

}  // namespace nacre
