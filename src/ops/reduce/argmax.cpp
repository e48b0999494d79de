#include "ops/op.h"

namespace nacre {
namespace {
struct ArgmaxAttrs {
  int64_t dim = 0;
  void fields(FieldVisitor& v) { v("dim", dim); }
};
}  // namespace

/// Position of the largest element along one dimension, the first of equal ones; NaN counts as
/// largest. x: any shape and type, the dimension not empty. Returns i64.
API(Tensor argmax(In x, int64_t dim, bool keepdim = false))
/// Position of the largest of all elements, counted row-major.
API(Tensor argmax(In x))

OP(argmax) = {
    .name = "argmax",
    .attrs = attr_type<ArgmaxAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t dim = in.attrs<ArgmaxAttrs>().dim;
          in.check(in.shape(0)[dim] > 0, {"dimension ", dim, " has no elements"});
          Shape s = in.shape(0);
          s.erase(dim);
          in.out(DType::i64, s);
        },
    .ref =
        [](Ref& r) {
          const Around a = around(r.in().shape, r.attrs<ArgmaxAttrs>().dim);
          const auto run = [&](const auto* x) {
            for (int64_t k = 0; k < r.out().n; ++k) {
              const auto* row = x + k / a.inner * a.size * a.inner + k % a.inner;
              int64_t best = 0;
              for (int64_t j = 1; j < a.size; ++j) {
                const auto v = row[j * a.inner], top = row[best * a.inner];
                if (v > top || (v != v && top == top)) best = j;
              }
              r.out().i[k] = best;
            }
          };
          if (r.in().floating())
            run(r.in().d);
          else
            run(r.in().i);
        },
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

Tensor argmax(In x, int64_t dim, bool keepdim) {
  const int64_t d = normalize_dim(op_argmax, dim, x->rank());
  const Tensor y = make(op_argmax, ArgmaxAttrs{d}, {x});
  return keepdim ? unsqueeze(y, d) : y;
}

Tensor argmax(In x) { return argmax(reshape(x, {-1}), 0); }

}  // namespace nacre
