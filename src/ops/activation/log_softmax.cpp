#include "nacre/autograd.h"
#include "ops/op.h"

namespace nacre {
/// Logarithm of softmax along one dimension: x - logsumexp(x).
/// x: any shape, floating.
API(Tensor log_softmax(In x, int64_t dim = -1))

/// Gradient of log_softmax from its result y and the gradient dy of that.
OP(log_softmax_grad) = {
    .name = "log_softmax_grad",
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
      return {in[1] - exp(in[0]) * sum(in[1], {a.dim}, true)};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, 0.1, 0.9), s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{make(op_log_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{1} - {0}.exp() * {1}.sum(1, keepdim=True)");
          s.add(
              {s.uniform({2, 3, 2}, 0.1, 0.9), s.uniform({2, 3, 2})},
              [](const Tensors& x) {
                return Tensors{make(op_log_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{1} - {0}.exp() * {1}.sum(1, keepdim=True)");
          s.add(
              {s.uniform({0, 2}, 0.1, 0.9), s.uniform({0, 2})},
              [](const Tensors& x) {
                return Tensors{make(op_log_softmax_grad, DimAttrs{1}, {x[0], x[1]})};
              },
              "{1} - {0}.exp() * {1}.sum(1, keepdim=True)");
        },
};

OP(log_softmax) = {
    .name = "log_softmax",
    .kind = OpKind::composite,
    .attrs = attr_type<DimAttrs>(),
    .infer = infer_same_float,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const DimAttrs*>(attrs);
      if (in[0].numel() == 0) return {identity(in[0])};
      const Tensor x = in[0] - stop_gradient(amax(in[0], {a.dim}, true));
      return {x - log(sum(exp(x), {a.dim}, true))};
    },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = make(op_log_softmax_grad, v.attrs<DimAttrs>(), {v.y(), v.dy()});
        },
    .onnx = "LogSoftmax",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{log_softmax(x[0])}; },
              "torch.log_softmax({0}, -1)");
          s.add(
              {s.uniform({2, 3, 4}, -3, 3)},
              [](const Tensors& x) { return Tensors{log_softmax(x[0], 1)}; },
              "torch.log_softmax({0}, 1)");
          s.add(
              {s.uniform({1})}, [](const Tensors& x) { return Tensors{log_softmax(x[0], 0)}; },
              "torch.log_softmax({0}, 0)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{log_softmax(x[0])}; },
              "torch.log_softmax({0}, -1)");
          s.add(
              {s.uniform({3, 0})}, [](const Tensors& x) { return Tensors{log_softmax(x[0])}; },
              "torch.log_softmax({0}, -1)");
          s.add(
               {s.at({0, 0, -INFINITY, 1000, -1000, 999, NAN, 0, 1}, {3, 3})},
               [](const Tensors& x) { return Tensors{log_softmax(x[0])}; },
               "torch.log_softmax({0}, -1)")
              .check_grad = false;
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{log_softmax(x[0], 2)}; },
              "out of range");
          s.bad(
              {s.integers({3}, 0, 4, DType::i64)},
              [](const Tensors& x) { return Tensors{log_softmax(x[0])}; }, "floating type");
        },
};

Tensor log_softmax(In x, int64_t dim) {
  return make(op_log_softmax, DimAttrs{normalize_dim(op_log_softmax, dim, x->rank())}, {x});
}

}  // namespace nacre
