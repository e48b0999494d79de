#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
namespace {

std::optional<View> same_view(const void*, const Shape&, const Shape& strides, const Shape&) {
  return View{strides, 0};
}

void copy_ref(Ref& r) {
  r.typed([&](auto* x, auto* y) { std::copy(x, x + r.in().n, y); });
}

}  // namespace

/// The same values under a new node, so that a gradient can be taken with respect to this use of x
/// alone. x: any shape and type.
API(Tensor identity(In x))

OP(identity) = {
    .name = "identity",
    .kind = OpKind::view,
    .infer = infer_same<0>,
    .ref = copy_ref,
    .view = same_view,
    .vjp = [](Vjp& v) { v.dx(0) = v.dy(); },
    .onnx = "Identity",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{identity(x[0])}; },
              "{0} * 1");
        },
};

Tensor identity(In x) { return make(op_identity, {x}); }

/// Node of stop_gradient (nacre/autograd.h): the values of x, with no gradient through it.
OP(stop_gradient) = {
    .name = "stop_gradient",
    .kind = OpKind::view,
    .infer = infer_same<0>,
    .ref = copy_ref,
    .view = same_view,
    .samples =
        [](Samples& s) {
          s.add(
               {s.uniform({2, 3})},
               [](const Tensors& x) { return Tensors{stop_gradient(x[0]) * x[0]}; },
               "{0}.detach() * {0}")
              .check_grad = false;
        },
};

Tensor stop_gradient(In x) {
  NoGrad guard;
  Tensor in[] = {x.take()};
  return make_from(op_stop_gradient, Attrs(), in);
}

/// The values of x, available only after `after` has been computed. Keeps the compiler from merging
/// two computations of the same thing, which gradient checkpointing needs; `id` tells barriers
/// apart.
API(Tensor barrier(In x, In after))

OP(barrier) = {
    .name = "barrier",
    .kind = OpKind::view,
    .infer = infer_same<0>,
    .ref = copy_ref,
    .view = same_view,
    .vjp = [](Vjp& v) { v.dx(0) = v.dy(); },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3}), s.uniform({4})},
              [](const Tensors& x) { return Tensors{barrier(x[0], x[1])}; }, "{0} + 0 * {1}.sum()");
        },
};

Tensor barrier(In x, In after) { return make(op_barrier, {x, after}); }

/// The values of x in memory of their own, row-major without gaps. Views (permute, slice, expand)
/// share memory otherwise; kernels that need dense memory get such copies by themselves. x: any
/// shape and type.
API(Tensor contiguous(In x))

OP(contiguous) = {
    .name = "contiguous",
    .infer = infer_same<0>,
    .ref = copy_ref,
    .vjp = [](Vjp& v) { v.dx(0) = v.dy(); },
    .onnx = "Identity",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{contiguous(permute(x[0], {1, 0}))};
              },
              "{0}.t().contiguous()");
        },
};

Tensor contiguous(In x) { return make(op_contiguous, {x}); }

}  // namespace nacre
