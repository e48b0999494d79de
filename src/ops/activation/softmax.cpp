#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
/// Softmax along one dimension: e^x / sum(e^x), without overflow. A slice of -inf alone gives NaN.
/// x: any shape, floating.
API(Tensor softmax(In x, int64_t dim = -1))

/// Gradient of softmax from its result y and the gradient dy of that.
OP(softmax_grad) = {
    .name = "softmax_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_same_dtype();
          in.check(in.shape(1) == in.shape(0),
                   {"dy has shape ", in.shape(1), ", y has ", in.shape(0)});
          infer_same_float(in);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      return {in[0] * (in[1] - sum(in[0] * in[1], {a.dim}, true))};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.1, 0.9), s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{make(op_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{0} * ({1} - ({0} * {1}).sum(1, keepdim=True))");
          s.add(
              {s.uniform({2, 3, 2}, 0.1, 0.9), s.uniform({2, 3, 2})},
              [](const Tensors& x) {
                return Tensors{make(op_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{0} * ({1} - ({0} * {1}).sum(1, keepdim=True))");
          s.add(
              {s.uniform({0, 2}, 0.1, 0.9), s.uniform({0, 2})},
              [](const Tensors& x) {
                return Tensors{make(op_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{0} * ({1} - ({0} * {1}).sum(1, keepdim=True))");
        },
};

OP(softmax) = {
    .name = "softmax",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      if (in[0].numel() == 0) return {identity(in[0])};
      const Tensor e = exp(in[0] - stop_gradient(amax(in[0], {a.dim}, true)));
      return {e / sum(e, {a.dim}, true)};
    },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = make(op_softmax_grad, v.attrs<DimAttrs>(), {v.y(), v.dy()});
        },
    .onnx = "Softmax",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)}, [](const Tensors& x) { return Tensors{softmax(x[0])}; },
              "torch.softmax({0}, -1)");
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{softmax(x[0], 1)}; }, "torch.softmax({0}, 1)");
          s.add(
              {s.uniform({1})}, [](const Tensors& x) { return Tensors{softmax(x[0], 0)}; },
              "torch.softmax({0}, 0)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{softmax(x[0])}; },
              "torch.softmax({0}, -1)");
          s.add(
              {s.uniform({3, 0})}, [](const Tensors& x) { return Tensors{softmax(x[0])}; },
              "torch.softmax({0}, -1)");
          s.add(
               {s.at(
                   {0, 0, -INFINITY, 1000, -1000, 999, NAN, 0, 1, -INFINITY, -INFINITY, -INFINITY},
                   {4, 3})},
               [](const Tensors& x) { return Tensors{softmax(x[0])}; }, "torch.softmax({0}, -1)")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{softmax(x[0], 2)}; },
              "out of range");
          s.bad(
              {s.integers({3}, 0, 4, DType::i64)},
              [](const Tensors& x) { return Tensors{softmax(x[0])}; }, "floating type");
        },
};

Tensor softmax(In x, int64_t dim) {
  return make(op_softmax, DimAttrs{normalize_dim(op_softmax, dim, x->rank())}, {x});
}

}  // namespace nacre
