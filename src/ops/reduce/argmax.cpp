#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
/// Position of the largest element along one dimension, the first of equal ones; NaN counts as
/// largest. x: any shape and type, the dimension not empty. Returns i64.
API(Tensor argmax(In x, int64_t dim, bool keepdim = false))
/// Position of the largest of all elements, counted row-major.
API(Tensor argmax(In x))

OP(argmax) = {
    .name = "argmax",
    .attrs = attr_type<DimAttrs>(),
    .infer = infer_position,
    .ref = [](Ref& r) { find_positions(r, [](auto v, auto best) { return v > best; }); },
    .onnx = "ArgMax",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{argmax(x[0], 1)}; },
              "{0}.argmax(1)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) { return Tensors{argmax(x[0], -1, true)}; },
              "{0}.argmax(-1, keepdim=True)");
          s.add(
              {s.at({1, 3, 3, 1, NAN, 0, 2, NAN, -1}, {3, 3})},
              [](const Tensors& x) { return Tensors{argmax(x[0], 1)}; }, "{0}.argmax(1)");
          s.add(
              {s.integers({3, 4}, 0, 99)}, [](const Tensors& x) { return Tensors{argmax(x[0])}; },
              "{0}.argmax()");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{argmax(x[0], 1)}; },
              "{0}.argmax(1)");
          s.bad(
              {s.uniform({2, 0})}, [](const Tensors& x) { return Tensors{argmax(x[0], 1)}; },
              "has no elements");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{argmax(x[0], 2)}; },
              "out of range");
        },
};

Tensor argmax(In x, int64_t dim, bool keepdim) { return make_position(op_argmax, x, dim, keepdim); }

Tensor argmax(In x) { return argmax(reshape(x, {-1}), 0); }

}  // namespace nacre
