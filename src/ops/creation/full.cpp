#include "ops/op.h"

namespace nacre {
namespace {
struct FullAttrs {
  double value = 0;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("value", value);
    v("dtype", dtype);
  }
};
}  // namespace

/// A tensor of this shape filled with one value, which is part of the compiled plan: for numbers
/// that change from step to step use Tensor::scalar with expand.
API(Tensor full(const Shape& shape, double value, DType dtype = DType::f32))
/// Zeros.
API(Tensor zeros(const Shape& shape, DType dtype = DType::f32))
/// Ones.
API(Tensor ones(const Shape& shape, DType dtype = DType::f32))
/// Zeros with the shape and type of x.
API(Tensor zeros_like(In x))
/// Ones with the shape and type of x.
API(Tensor ones_like(In x))

OP(full) = {
    .name = "full",
    .attrs = attr_type<FullAttrs>(),
    .infer = [](Infer& in) { in.out(in.attrs<FullAttrs>().dtype, {}); },
    .ref =
        [](Ref& r) {
          const double v = r.attrs<FullAttrs>().value;
          if (r.out().floating())
            r.out().d[0] = v;
          else
            r.out().i[0] = static_cast<int64_t>(v);
        },
    .onnx = "ConstantOfShape",
    .samples =
        [](Samples& s) {
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{full({2, 3}, 1.5)};
              },
              "torch.full((2, 3), 1.5)");
          s.add(
              {}, [](const Tensors&) { return Tensors{full({}, 7, DType::i64)}; },
              "torch.full((), 7)");
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{zeros_like(x[0]), ones_like(x[0])};
              },
              "(torch.zeros_like({0}), torch.ones_like({0}))");
        },
};

Tensor full(const Shape& shape, double value, DType dtype) {
  const Tensor one = make(op_full, FullAttrs{value, dtype}, {});
  return shape.empty() ? one : expand(one, shape);
}
Tensor zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor zeros_like(In x) { return zeros(x->shape(), x->dtype()); }
Tensor ones_like(In x) { return ones(x->shape(), x->dtype()); }

}  // namespace nacre
