#include "ops/op.h"

namespace nacre {
namespace {
struct PermuteAttrs {
  Ints dims;
  void fields(FieldVisitor& v) { v("dims", dims); }
};
}  // namespace

/// Reorders dimensions: dimension i of the result is dimension dims[i] of x. Shares memory with x.
/// x: any shape and type.
API(Tensor permute(In x, const Ints& dims))
/// Swaps two dimensions.
API(Tensor transpose(In x, int64_t a = -2, int64_t b = -1))
/// Moves dimension `from` to position `to` of the result; the others keep their order.
API(Tensor movedim(In x, int64_t from, int64_t to))

OP(permute) = {
    .name = "permute",
    .kind = OpKind::view,
    .attrs = attr_type<PermuteAttrs>(),
    .infer =
        [](Infer& in) {
          const Ints& dims = in.attrs<PermuteAttrs>().dims;
          Shape out;
          uint64_t seen = 0;
          in.check(
              dims.rank() == in.rank(0) && dims.rank() <= 64,
              {"dims ", as_list(dims), " do not name each of ", in.rank(0), " dimensions once"});
          for (int64_t d : dims) {
            in.check(
                d >= 0 && d < in.rank(0) && !(seen >> d & 1),
                {"dims ", as_list(dims), " do not name each of ", in.rank(0), " dimensions once"});
            seen |= uint64_t{1} << d;
            out.push_back(in.shape(0)[d]);
          }
          in.out(in.dtype(0), out);
        },
    .ref =
        [](Ref& r) {
          const Ints& dims = r.attrs<PermuteAttrs>().dims;
          const Shape from = contiguous_strides(r.in().shape),
                      to = contiguous_strides(r.out().shape);
          r.typed([&](auto* x, auto* y) {
            for (int64_t k = 0; k < r.out().n; ++k) {
              int64_t i = 0;
              for (int64_t d = 0; d < dims.rank(); ++d)
                i += k / to[d] % r.out().shape[d] * from[dims[d]];
              y[k] = x[i];
            }
          });
        },
    .view = [](const void* attrs, const Shape&, const Shape& strides,
               const Shape&) -> std::optional<View> {
      View v;
      for (int64_t d : static_cast<const PermuteAttrs*>(attrs)->dims)
        v.strides.push_back(strides[d]);
      return v;
    },
    .vjp =
        [](Vjp& v) {
          const Ints& dims = v.attrs<PermuteAttrs>().dims;
          Ints back(dims.size(), 0);
          for (int64_t i = 0; i < dims.rank(); ++i) back[dims[i]] = i;
          v.dx(0) = permute(v.dy(), back);
        },
    .onnx = "Transpose",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{permute(x[0], {2, 0, 1})};
              },
              "{0}.permute(2, 0, 1)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) { return Tensors{transpose(x[0], 0, -1)}; },
              "{0}.transpose(0, -1)");
          s.add(
              {s.integers({2, 3}, 0, 9)}, [](const Tensors& x) { return Tensors{transpose(x[0])}; },
              "{0}.t()");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{movedim(x[0], 0, -1), movedim(x[0], 2, 1)};
              },
              "({0}.movedim(0, -1), {0}.movedim(2, 1))");
          s.bad(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{permute(x[0], {0, 0})};
              },
              "do not name each of 2 dimensions once");
        },
};

Tensor permute(In x, const Ints& dims) {
  Ints d = dims;
  for (int64_t& v : d)
    if (v < 0) v += x->rank();
  return make(op_permute, PermuteAttrs{std::move(d)}, {x});
}

Tensor transpose(In x, int64_t a, int64_t b) {
  Ints dims;
  for (int64_t d = 0; d < x->rank(); ++d) dims.push_back(d);
  std::swap(dims[normalize_dim(op_permute, a, x->rank())],
            dims[normalize_dim(op_permute, b, x->rank())]);
  return permute(x, dims);
}

Tensor movedim(In x, int64_t from, int64_t to) {
  from = normalize_dim(op_permute, from, x->rank());
  to = normalize_dim(op_permute, to, x->rank());
  Ints dims;
  for (int64_t d = 0; d < x->rank(); ++d)
    if (d != from) dims.push_back(d);
  dims.insert(to, from);
  return permute(x, dims);
}

}  // namespace nacre
