#include "ops/op.h"

namespace nacre {
namespace {
struct EyeAttrs {
  int64_t rows = 0, columns = 0;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("rows", rows);
    v("columns", columns);
    v("dtype", dtype);
  }
};
}  // namespace

/// A matrix with ones on its main diagonal and zeros elsewhere. columns -1: as many as rows.
API(Tensor eye(int64_t rows, int64_t columns = -1, DType dtype = DType::f32))

OP(eye) = {
    .name = "eye",
    .kind = OpKind::composite,
    .attrs = attr_type<EyeAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<EyeAttrs>();
          in.check(a.rows >= 0 && a.columns >= 0,
                   {"a matrix of ", a.rows, " rows and ", a.columns, " columns"});
          in.out(a.dtype, {a.rows, a.columns});
        },
    .decompose =
        [](const void* attrs, const Tensors&) {
          const auto& a = *static_cast<const EyeAttrs*>(attrs);
          return Tensors{cast(eq(unsqueeze(arange(a.rows), 1), arange(a.columns)), a.dtype)};
        },
    .onnx = "EyeLike",
    .samples =
        [](Samples& s) {
          s.add(
              {}, [](const Tensors&) { return Tensors{eye(3)}; }, "torch.eye(3)");
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{eye(2, 4, DType::f64), eye(4, 2, DType::i64)};
              },
              "(torch.eye(2, 4, dtype=torch.float64), torch.eye(4, 2, dtype=torch.int64))");
          s.add(
              {}, [](const Tensors&) { return Tensors{eye(0)}; }, "torch.eye(0)");
          s.bad(
              {}, [](const Tensors&) { return Tensors{eye(2, -3)}; }, "-3 columns");
        },
};

Tensor eye(int64_t rows, int64_t columns, DType dtype) {
  return make(op_eye, EyeAttrs{rows, columns == -1 ? rows : columns, dtype}, {});
}

}  // namespace nacre
