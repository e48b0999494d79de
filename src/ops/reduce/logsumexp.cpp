#include "nacre/autograd.h"
#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// log(sum(e^x)) over dimensions, without overflow; -inf for no elements.
/// x: any shape, floating (integers become f32). dims: all if none are given; keepdim leaves
/// reduced dimensions with size 1.
API(Tensor logsumexp(In x, const Ints& dims = {}, bool keepdim = false))

OP(logsumexp) = {
    .name = "logsumexp",
    .kind = OpKind::composite,
    .attrs = attr_type<ReduceAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          infer_reduce(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& r = *static_cast<const ReduceAttrs*>(attrs);
      const Shape& shape = in[0].shape();
      if (shape.numel() == 0) return {full(reduced_shape(shape, r), -INFINITY, in[0].dtype())};
      Tensor top = stop_gradient(amax(in[0], r.dims, true));
      top = where(isfinite(top), top, 0.0);
      const Tensor y = log(sum(exp(in[0] - top), r.dims, true)) + top;
      return {reshape(y, reduced_shape(shape, r))};
    },
    .vjp =
        [](Vjp& v) {
          const auto& r = v.attrs<ReduceAttrs>();
          const Shape& shape = v.x(0).shape();
          const Tensor y = where(isinf(v.y()), 0.0, v.y());
          v.dx(0) = expand_reduced(v.dy(), shape, r) * exp(v.x(0) - expand_reduced(y, shape, r));
        },
    .onnx = "ReduceLogSumExp",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{logsumexp(x[0])}; },
              "torch.logsumexp({0}, tuple(range({0}.dim())))");
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{logsumexp(x[0], {1})}; },
              "torch.logsumexp({0}, 1)");
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) {
                return Tensors{logsumexp(x[0], {0, -1}, true)};
              },
              "torch.logsumexp({0}, (0, 2), keepdim=True)");
          s.add(
              {s.uniform({}, -3, 3)}, [](const Tensors& x) { return Tensors{logsumexp(x[0])}; },
              "{0} * 1");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{logsumexp(x[0], {2})}; },
              "out of range");
          s.add(
               {s.at({-INFINITY, -INFINITY, 0, -INFINITY, INFINITY, 0, 1000, 1000, -1000, -1000},
                     {5, 2})},
               [](const Tensors& x) { return Tensors{logsumexp(x[0], {1})}; },
               "torch.logsumexp({0}, 1)")
              .check_grad = false;
          s.add(
               {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{logsumexp(x[0], {0})}; },
               "torch.logsumexp({0}, 0)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{logsumexp(x[0], {1})}; },
              "torch.logsumexp({0}, 1)");
        },
};

Tensor logsumexp(In x, const Ints& dims, bool keepdim) {
  return make(op_logsumexp, ReduceAttrs{normalize_dims(op_logsumexp, dims, x->rank()), keepdim},
              {as_float(x)});
}

}  // namespace nacre
