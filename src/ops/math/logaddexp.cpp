#include "ops/op.h"

namespace nacre {
namespace {

/// a - b, where equal infinities differ by 0.
Tensor difference(const Tensor& a, const Tensor& b) {
  const Tensor both = logical_and(isinf(a), eq(a, b));
  return where(both, 0.0, a) - where(both, 0.0, b);
}
}  // namespace

/// log(e^a + e^b), elementwise, without overflow.
/// a, b: shapes that broadcast, floating (integers become f32).
API(Tensor logaddexp(In a, In b))

OP(logaddexp) = {
    .name = "logaddexp",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check_float(0);
          infer_broadcast(in);
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      return {maximum(in[0], in[1]) + log1p(exp(neg(abs(difference(in[0], in[1])))))};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor d = difference(v.x(0), v.x(1));
          if (v.wants(0)) v.dx(0) = sum_to_shape(v.dy() * sigmoid(d), v.x(0).shape());
          if (v.wants(1)) v.dx(1) = sum_to_shape(v.dy() * sigmoid(neg(d)), v.x(1).shape());
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3), s.uniform({4}, -3, 3)},
              [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; },
              "torch.logaddexp({0}, {1})");
          s.add(
              {s.uniform({3, 1}), s.uniform({})},
              [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; },
              "torch.logaddexp({0}, {1})");
          s.add(
              {s.at({0, 1, -500}), s.at({0, 1, 500})},
              [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; },
              "torch.logaddexp({0}, {1})");
          s.add(
              {s.uniform({2, 1}), s.uniform({0})},
              [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; },
              "torch.logaddexp({0}, {1})");
          s.add(
               {s.at({INFINITY, -INFINITY, INFINITY, NAN, -INFINITY}),
                s.at({INFINITY, -INFINITY, -INFINITY, 1, 2})},
               [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; },
               "torch.logaddexp({0}, {1})")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3}), s.uniform({4})},
              [](const Tensors& x) { return Tensors{logaddexp(x[0], x[1])}; }, "do not broadcast");
        },
};

Tensor logaddexp(In a, In b) { return make(op_logaddexp, unify_float(std::move(a), std::move(b))); }

}  // namespace nacre
