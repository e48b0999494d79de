#include "nacre/autograd.h"
#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {

/// Cross entropy of logits and class indices, item by item, and the log-sum-exp of each row, which
/// its gradient needs. logits: NxC, floating; target: N, i64 in 0..C-1 (else an Error when it is
/// computed). Returns (loss, lse), both N. cross_entropy is the general form.
API(std::pair<Tensor, Tensor> softmax_cross_entropy(In logits, In target))

/// Gradient of softmax_cross_entropy: (e^(logits - lse) - one_hot(target)) * dloss.
OP(softmax_cross_entropy_grad) = {
    .name = "softmax_cross_entropy_grad",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          const Shape& x = in.shape(0);
          in.check_float(0);
          in.check_rank(0, 2);
          in.check_index(1);
          for (size_t i = 1; i < 4; ++i) {
            in.check(in.shape(i) == Shape{x[0]},
                     {"input ", i, " has shape ", in.shape(i), ", expected ", x[0]});
            in.check(i == 1 || in.dtype(i) == in.dtype(0),
                     {"input ", i, " has type ", in.dtype(i), ", input 0 has ", in.dtype(0)});
          }
          in.out(in.dtype(0), x);
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor p = exp(in[0] - unsqueeze(in[2], 1));
      const Tensor hit = eq(arange(in[0].size(1)), unsqueeze(in[1], 1));
      return {(p - cast(hit, p.dtype())) * unsqueeze(in[3], 1)};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{make(op_softmax_cross_entropy_grad, {x[0], x[1], x[2], x[3]})};
          };
          const char* torch =
              "(torch.exp({0} - {2}[:, None]) - F.one_hot({1}, {0}.shape[1])) * {3}[:, None]";
          s.add({s.uniform({3, 4}), s.integers({3}, 0, 4), s.uniform({3}, 1, 2), s.uniform({3})},
                call, torch);
          s.add({s.uniform({5, 1}), s.integers({5}, 0, 1), s.uniform({5}, 1, 2), s.uniform({5})},
                call, torch);
          s.add({s.uniform({0, 4}), s.integers({0}, 0, 4), s.uniform({0}, 1, 2), s.uniform({0})},
                call, torch);
        },
};

OP(softmax_cross_entropy) = {
    .name = "softmax_cross_entropy",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check_rank(0, 2);
          check_classes(in);
          in.out(in.dtype(0), in.shape(1));
          in.out(in.dtype(0), in.shape(1));
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor& x = in[0];
      const Tensor top = stop_gradient(amax(x, {1}));
      const Tensor log_sum = log(sum(exp(x - unsqueeze(top, 1)), {1}));
      const Tensor picked = squeeze(gather(x, 1, unsqueeze(in[1], 1)), {1});
      return {log_sum - (picked - top), log_sum + top};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor lse = v.y(1);
          Tensor g;
          if (v.has_dy(0)) g = make(op_softmax_cross_entropy_grad, {v.x(0), v.x(1), lse, v.dy(0)});
          if (v.has_dy(1)) {
            const Tensor h = exp(v.x(0) - unsqueeze(lse, 1)) * unsqueeze(v.dy(1), 1);
            g = g.defined() ? g + h : h;
          }
          v.dx(0) = g;
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            const auto [loss, lse] = softmax_cross_entropy(x[0], x[1]);
            return Tensors{loss, lse};
          };
          const char* torch =
              "(F.cross_entropy({0}, {1}, reduction='none'), torch.logsumexp({0}, 1))";
          s.add({s.uniform({3, 4}, -3, 3), s.integers({3}, 0, 4)}, call, torch);
          s.add({s.uniform({5, 1}), s.integers({5}, 0, 1)}, call, torch);
          s.add({s.uniform({0, 3}), s.integers({0}, 0, 3)}, call, torch);
          s.add({s.at({1000, 0, -1000, 0, 0, 0}, {2, 3}), s.integers({2}, 0, 3)}, call, torch)
              .check_grad = false;
          s.bad({s.uniform({3}), s.integers({3}, 0, 3)}, call, "rank 1");
          s.bad({s.uniform({3, 4}), s.integers({4}, 0, 3)}, call,
                "targets have shape 4, expected 3");
        },
};

std::pair<Tensor, Tensor> softmax_cross_entropy(In logits, In target) {
  const Tensor t = is_float(target->dtype()) ? target.get() : cast(target, DType::i64);
  const Tensors in = {logits, t};
  const Tensors y = make_all(op_softmax_cross_entropy, Attrs(), in);
  return {y[0], y[1]};
}

}  // namespace nacre
