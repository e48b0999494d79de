#include "ops/op.h"

namespace nacre {
namespace {
struct OneHotAttrs {
  int64_t classes = 0;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("classes", classes);
    v("dtype", dtype);
  }
};
}  // namespace

/// A last dimension of size `classes` that is 1 at the place that x names and 0 elsewhere; all 0 if
/// x is not one of 0..classes-1. x: i64 or i32, any shape.
API(Tensor one_hot(In x, int64_t classes, DType dtype = DType::f32))

OP(one_hot) = {
    .name = "one_hot",
    .kind = OpKind::composite,
    .attrs = attr_type<OneHotAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<OneHotAttrs>();
          in.check_index(0);
          in.check(a.classes > 0, {a.classes, " classes"});
          Shape out = in.shape(0);
          out.push_back(a.classes);
          in.out(a.dtype, out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const OneHotAttrs*>(attrs);
          return Tensors{cast(eq(unsqueeze(in[0], -1), arange(a.classes, in[0].dtype())), a.dtype)};
        },
    .onnx = "OneHot",
    .samples =
        [](Samples& s) {
          s.add(
              {s.integers({2, 3}, 0, 4)},
              [](const Tensors& x) { return Tensors{one_hot(x[0], 4)}; },
              "F.one_hot({0}, 4).float()");
          s.add(
              {s.ints_at({2}, {}, DType::i32)},
              [](const Tensors& x) { return Tensors{one_hot(x[0], 3, DType::i64)}; },
              "F.one_hot({0}.long(), 3)");
          s.add(
              {s.integers({0}, 0, 4)},
              [](const Tensors& x) { return Tensors{one_hot(x[0], 2, DType::boolean)}; },
              "F.one_hot({0}, 2).bool()");
          s.add(
              {s.ints_at({1, -1, 5}, {3})},
              [](const Tensors& x) { return Tensors{one_hot(x[0], 2)}; },
              "torch.tensor([[0., 1.], [0., 0.], [0., 0.]])");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{one_hot(x[0], 4)}; },
              "indices are i64 or i32");
          s.bad(
              {s.integers({3}, 0, 2)}, [](const Tensors& x) { return Tensors{one_hot(x[0], 0)}; },
              "0 classes");
        },
};

Tensor one_hot(In x, int64_t classes, DType dtype) {
  return make(op_one_hot, OneHotAttrs{classes, dtype}, {x});
}

}  // namespace nacre
