#include "ops/op.h"

namespace nacre {
namespace {
struct ExpandAttrs {
  Ints shape;
  void fields(FieldVisitor& v) { v("shape", shape); }
};
}  // namespace

/// Broadcasts x to a shape (NumPy's rule) without copying. An entry -1 keeps the size of x.
/// x: any type.
API(Tensor expand(In x, const Shape& shape))

OP(expand) = {
    .name = "expand",
    .kind = OpKind::view,
    .attrs = attr_type<ExpandAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape &s = in.attrs<ExpandAttrs>().shape, &x = in.shape(0);
          in.check(s.rank() >= x.rank(), {"cannot broadcast to ", s, ", it has fewer dimensions"});
          for (int64_t d = 1; d <= x.rank(); ++d)
            in.check(x[-d] == 1 || x[-d] == s[-d],
                     {"cannot broadcast to ", s, ": dimension -", d, " is ", x[-d]});
          in.out(in.dtype(0), s);
        },
    .ref =
        [](Ref& r) {
          r.typed([&](auto* x, auto* y) {
            for (int64_t k = 0; k < r.out().n; ++k)
              y[k] = x[broadcast_index(k, r.out().shape, r.in().shape)];
          });
        },
    .view = [](const void*, const Shape& in, const Shape& strides,
               const Shape& out) -> std::optional<View> {
      View v;
      v.strides = Shape(out.size(), 0);
      for (int64_t d = 1; d <= in.rank(); ++d)
        v.strides[-d] = in[-d] == 1 && out[-d] != 1 ? 0 : strides[-d];
      return v;
    },
    .vjp = [](Vjp& v) { v.dx(0) = sum_to_shape(v.dy(), v.x(0).shape()); },
    .onnx = "Expand",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 1})},
              [](const Tensors& x) {
                return Tensors{expand(x[0], {2, 3, 4})};
              },
              "{0}.expand(2, 3, 4)");
          s.add(
              {s.uniform({})},
              [](const Tensors& x) {
                return Tensors{expand(x[0], {2, 2})};
              },
              "{0}.expand(2, 2)");
          s.add(
              {s.uniform({3, 1})},
              [](const Tensors& x) {
                return Tensors{expand(x[0], {-1, 4})};
              },
              "{0}.expand(-1, 4)");
          s.add(
              {s.uniform({1, 3})},
              [](const Tensors& x) {
                return Tensors{expand(x[0], {0, 3})};
              },
              "{0}.expand(0, 3)");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{expand(x[0], {4})}; },
              "cannot broadcast to 4");
        },
};

Tensor expand(In x, const Shape& shape) {
  Shape s = shape;
  for (int64_t d = 1; d <= s.rank() && d <= x->rank(); ++d)
    if (s[-d] == -1) s[-d] = x->size(-d);
  if (s == x->shape()) return x;
  return make(op_expand, ExpandAttrs{std::move(s)}, {x});
}

}  // namespace nacre
