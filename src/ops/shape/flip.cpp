#include "ops/shape/positions.h"

namespace nacre {
namespace {
struct FlipAttrs {
  Ints dims;
  void fields(FieldVisitor& v) { v("dims", dims); }
};
}  // namespace

/// Reverses the order of entries along dimensions (all if none are given). x: any shape and type.
API(Tensor flip(In x, const Ints& dims = {}))

OP(flip) = {
    .name = "flip",
    .attrs = attr_type<FlipAttrs>(),
    .infer = infer_same<0>,
    .ref =
        [](Ref& r) {
          const Shape &shape = r.in().shape, strides = contiguous_strides(shape);
          r.typed([&](auto* x, auto* y) {
            for_positions(shape, [&](int64_t k, Shape at) {
              for (int64_t d : r.attrs<FlipAttrs>().dims) at[d] = shape[d] - 1 - at[d];
              y[k] = x[offset_of(at, strides)];
            });
          });
        },
    .vjp = [](Vjp& v) { v.dx(0) = flip(v.dy(), v.attrs<FlipAttrs>().dims); },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{flip(x[0], {0, -1})};
              },
              "{0}.flip(0, -1)");
          s.add(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{flip(x[0])}; },
              "{0}.flip(0, 1)");
          s.add(
              {s.integers({0, 3}, 0, 9)}, [](const Tensors& x) { return Tensors{flip(x[0], {1})}; },
              "{0}.flip(1)");
          s.add(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{flip(x[0])}; }, "{0} * 1");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{flip(x[0], {2})}; },
              "out of range");
        },
};

Tensor flip(In x, const Ints& dims) {
  const Ints list = normalize_dims(op_flip, dims, x->rank());
  return list.empty() ? x.get() : make(op_flip, FlipAttrs{list}, {x});
}

}  // namespace nacre
