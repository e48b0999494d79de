#include "nacre/autograd.h"
#include "ops/loss/loss.h"

namespace nacre {
namespace {

struct CtcLossAttrs {
  int64_t blank = 0;
  void fields(FieldVisitor& v) { v("blank", blank); }
};

double log_add(double a, double b) {
  const double m = std::max(a, b);
  return m == -INFINITY ? a + b : m + std::log1p(std::exp(std::min(a, b) - m));
}

/// One sequence of a batch: its target with a blank before, between and after the labels.
class Sequence {
 public:
  Sequence(const Ref& r, int64_t n) : lp_(r.in(0).d), n_(n) {
    const Shape& shape = r.in(0).shape;
    batch_ = shape[1];
    classes_ = shape[2];
    const int64_t width = r.in(1).shape[1], labels = r.in(3).i[n];
    blank_ = r.attrs<CtcLossAttrs>().blank;
    steps_ = r.in(2).i[n];
    if (steps_ < 0 || steps_ > shape[0])
      r.fail(Error::Kind::data,
             {"input length ", steps_, " of sequence ", n, " is not in 0..", shape[0]});
    if (labels < 0 || labels > width)
      r.fail(Error::Kind::data,
             {"target length ", labels, " of sequence ", n, " is not in 0..", width});
    labels_.assign(static_cast<size_t>(2 * labels + 1), blank_);
    for (int64_t s = 0; s < labels; ++s) {
      const int64_t label = r.in(1).i[n * width + s];
      if (label < 0 || label >= classes_)
        r.fail(Error::Kind::data,
               {"target ", label, " of sequence ", n, " is not one of ", classes_, " classes"});
      labels_[static_cast<size_t>(2 * s + 1)] = label;
    }
  }
  int64_t steps() const { return steps_; }
  int64_t states() const { return static_cast<int64_t>(labels_.size()); }
  int64_t label(int64_t s) const { return labels_[static_cast<size_t>(s)]; }
  /// Position of the emission of state s at step t.
  int64_t at(int64_t t, int64_t s) const { return (t * batch_ + n_) * classes_ + label(s); }
  /// Whether state s may follow s - 2.
  bool skips(int64_t s) const { return s >= 2 && label(s) != blank_ && label(s) != label(s - 2); }

  /// log_alpha[t][s]: all prefixes that end in state s at step t, its emission included.
  std::vector<double> forward() const {
    const int64_t n = states();
    std::vector<double> a(static_cast<size_t>(steps_ * n), -INFINITY);
    for (int64_t s = 0; s < std::min<int64_t>(2, n) && steps_ > 0; ++s)
      a[static_cast<size_t>(s)] = lp_[at(0, s)];
    for (int64_t t = 1; t < steps_; ++t) {
      const double* before = a.data() + (t - 1) * n;
      for (int64_t s = 0; s < n; ++s) {
        double v = before[s];
        if (s >= 1) v = log_add(v, before[s - 1]);
        if (skips(s)) v = log_add(v, before[s - 2]);
        a[static_cast<size_t>(t * n + s)] = v + lp_[at(t, s)];
      }
    }
    return a;
  }
  double log_likelihood(const std::vector<double>& alpha) const {
    const int64_t n = states();
    if (steps_ == 0) return n == 1 ? 0 : -INFINITY;
    const double* last = alpha.data() + (steps_ - 1) * n;
    return n == 1 ? last[0] : log_add(last[n - 1], last[n - 2]);
  }
  /// Adds -scale * P(state at t emits c | target) to out[t][c].
  void add_gradient(double scale, double* out) const {
    const std::vector<double> alpha = forward();
    const double total = log_likelihood(alpha);
    if (total == -INFINITY) return;
    const auto n = static_cast<size_t>(states());
    std::vector<double> beta(n, -INFINITY), next(n);  // suffixes, without the emission at t
    beta[n - 1] = 0;
    if (n > 1) beta[n - 2] = 0;
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      for (size_t s = 0; s < n; ++s)
        out[at(t, static_cast<int64_t>(s))] -=
            scale * std::exp(alpha[static_cast<size_t>(t) * n + s] + beta[s] - total);
      if (t == 0) break;
      for (size_t s = 0; s < n; ++s) beta[s] += lp_[at(t, static_cast<int64_t>(s))];
      for (size_t s = 0; s < n; ++s) {
        next[s] = beta[s];
        if (s + 1 < n) next[s] = log_add(next[s], beta[s + 1]);
        if (s + 2 < n && skips(static_cast<int64_t>(s) + 2))
          next[s] = log_add(next[s], beta[s + 2]);
      }
      beta.swap(next);
    }
  }

 private:
  const double* lp_;
  int64_t n_, batch_ = 0, classes_ = 0, blank_ = 0, steps_ = 0;
  std::vector<int64_t> labels_;
};

/// The forward recursion in terms of other ops, for derivatives of the gradient.
Tensor unrolled(const Tensors& in, int64_t blank) {
  constexpr double never = -1e30;
  const Tensor &lp = in[0], &steps = in[2];
  const int64_t batch = lp.size(1), width = in[1].size(1), states = 2 * width + 1;
  const Tensor blanks = full({batch, width}, static_cast<double>(blank), DType::i64);
  const Tensor targets =
      clip(in[1], 0, static_cast<double>(lp.size(2) - 1));  // padding may be anything
  const Tensor labels = concat({reshape(stack({blanks, targets}, 2), {batch, 2 * width}),
                                full({batch, 1}, static_cast<double>(blank), DType::i64)},
                               1);
  const auto shifted = [&](const Tensor& x, int64_t by, double fill) {
    return pad(x, {0, by}, {0, -by}, "constant", Tensor::scalar(fill, x.dtype()));
  };
  const Tensor skips =
      logical_and(ne(labels, blank), ne(labels, shifted(labels, 2, static_cast<double>(blank))));
  const Tensor first = lt(arange(states), 2);
  Tensor alpha;
  for (int64_t t = 0; t < lp.size(0); ++t) {
    const Tensor emission = gather(select(lp, 0, t), 1, labels);
    if (t == 0) {
      alpha = where(first, emission, never);
      continue;
    }
    Tensor a = logaddexp(alpha, shifted(alpha, 1, never));
    a = logaddexp(a, where(skips, shifted(alpha, 2, never), never));
    alpha = where(gt(unsqueeze(steps, 1), t), a + emission, alpha);
  }
  const Tensor end = unsqueeze(in[3], 1) * 2;
  const Tensor last = gather(alpha, 1, end);
  const Tensor before = where(gt(end, 0), gather(alpha, 1, maximum(end - 1, 0)), never);
  const Tensor y = squeeze(logaddexp(last, before), {1});
  return where(gt(y, never / 2), neg(y), 0.0);
}

void check(Infer& in) {
  const auto& a = in.attrs<CtcLossAttrs>();
  in.check_float(0);
  in.check_rank(0, 3);
  in.check_rank(1, 2);
  const int64_t batch = in.shape(0)[1];
  for (size_t i = 1; i < 4; ++i)
    in.check(in.dtype(i) == DType::i64, {"input ", i, " has type ", in.dtype(i), ", expected i64"});
  in.check(in.shape(1)[0] == batch && in.shape(2) == Shape{batch} && in.shape(3) == Shape{batch},
           {"targets and lengths do not fit a batch of ", batch});
  in.check(a.blank >= 0 && a.blank < in.shape(0)[2],
           {"blank ", a.blank, " is not one of ", in.shape(0)[2], " classes"});
}

}  // namespace

/// Connectionist temporal classification (Graves et al., 2006): -log of the probability that the
/// frames, with repeats merged and blanks removed, spell the target. log_probs: TxNxC (time first),
/// logarithms of probabilities, floating; targets: NxS class indices, padded; input_lengths and
/// target_lengths: N. Reduction::mean divides each loss by its target length first.
/// A target that is too long for its frames has loss inf and gradient 0.
API(Tensor ctc_loss(In log_probs, In targets, In input_lengths, In target_lengths,
                    int64_t blank = 0, Reduction reduction = Reduction::mean))

/// Gradient of ctc_loss with respect to log_probs, from the same inputs and the gradient of each
/// loss.
OP(ctc_loss_grad) = {
    .name = "ctc_loss_grad",
    .attrs = attr_type<CtcLossAttrs>(),
    .infer =
        [](Infer& in) {
          check(in);
          in.check(in.dtype(4) == in.dtype(0) && in.shape(4) == in.shape(2),
                   {"gradients of losses are ", in.dtype(4), " ", in.shape(4), ", expected ",
                    in.dtype(0), " ", in.shape(2)});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          for (int64_t n = 0; n < r.in(2).n; ++n)
            Sequence(r, n).add_gradient(r.in(4).d[n], r.out().d);
        },
    .vjp =
        [](Vjp& v) {
          if (v.x(0).size(0) == 0) return;
          const Tensor lp = identity(v.x(0)), dloss = identity(v.x(4));
          const Tensor loss = unrolled({lp, v.x(1), v.x(2), v.x(3)}, v.attrs<CtcLossAttrs>().blank);
          const Tensor g = nacre::vjp({loss}, {lp}, {dloss})[0];
          const Tensors d = nacre::vjp({g}, {lp, dloss}, {v.dy()});
          v.dx(0) = d[0];
          v.dx(4) = d[1];
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{make(op_ctc_loss_grad, CtcLossAttrs{0}, {x[0], x[1], x[2], x[3], x[4]})};
          };
          s.add({s.uniform({4, 2, 3}, -2, -0.5), s.ints_at({1, 2, 1, 1}, {2, 2}),
                 s.ints_at({4, 3}, {2}), s.ints_at({2, 2}, {2}), s.uniform({2}, 0.5, 1)},
                call)
              .oracle = "differences of ctc_loss, whose gradient it is";
        },
};

OP(ctc_loss) = {
    .name = "ctc_loss",
    .attrs = attr_type<CtcLossAttrs>(),
    .infer =
        [](Infer& in) {
          check(in);
          in.out(in.dtype(0), {in.shape(0)[1]});
        },
    .ref =
        [](Ref& r) {
          for (int64_t n = 0; n < r.out().n; ++n) {
            const Sequence q(r, n);
            r.out().d[n] = -q.log_likelihood(q.forward());
          }
        },
    .vjp =
        [](Vjp& v) {
          v.dx(0) = make(op_ctc_loss_grad, v.attrs<CtcLossAttrs>(),
                         {v.x(0), v.x(1), v.x(2), v.x(3), v.dy()});
        },
    .samples =
        [](Samples& s) {
          const auto call = [](Reduction reduction, int64_t blank) {
            return [=](const Tensors& x) {
              return Tensors{ctc_loss(log_softmax(x[0], 2), x[1], x[2], x[3], blank, reduction)};
            };
          };
          s.add({s.uniform({5, 2, 4}, -2, 2), s.ints_at({1, 2, 3, 3}, {2, 2}),
                 s.ints_at({5, 4}, {2}), s.ints_at({2, 2}, {2})},
                call(Reduction::mean, 0), "F.ctc_loss({0}.log_softmax(2), {1}, {2}, {3})");
          s.add({s.uniform({6, 3, 3}, -2, 2), s.ints_at({0, 1, 0, 1, 1, 0, 0, 0, 0}, {3, 3}),
                 s.ints_at({6, 5, 3}, {3}), s.ints_at({3, 1, 0}, {3})},
                call(Reduction::none, 2),
                "F.ctc_loss({0}.log_softmax(2), {1}, {2}, {3}, blank=2, reduction='none')");
          s.add({s.uniform({3, 1, 2}, -2, 2), s.ints_at({1}, {1, 1}), s.ints_at({3}, {1}),
                 s.ints_at({1}, {1})},
                call(Reduction::sum, 0),
                "F.ctc_loss({0}.log_softmax(2), {1}, {2}, {3}, reduction='sum')");
          s.add({s.uniform({2, 1, 2}, -2, 2), s.ints_at({1, 1}, {1, 2}), s.ints_at({2}, {1}),
                 s.ints_at({2}, {1})},
                call(Reduction::none, 0),
                "F.ctc_loss({0}.log_softmax(2), {1}, {2}, {3}, reduction='none')")
              .check_grad = false;
          s.bad({s.uniform({5, 2, 4}), s.ints_at({1, 2, 3}, {3, 1}), s.ints_at({5, 4}, {2}),
                 s.ints_at({1, 1}, {2})},
                call(Reduction::mean, 0), "do not fit a batch of 2");
          s.bad({s.uniform({5, 2, 4}), s.ints_at({1, 2}, {2, 1}), s.ints_at({5, 4}, {2}),
                 s.ints_at({1, 1}, {2})},
                call(Reduction::mean, 4), "blank 4 is not one of 4 classes");
        },
};

Tensor ctc_loss(In log_probs, In targets, In input_lengths, In target_lengths, int64_t blank,
                Reduction reduction) {
  const Tensor lengths = cast(target_lengths, DType::i64);
  Tensor y = make(op_ctc_loss, CtcLossAttrs{blank},
                  {log_probs, cast(targets, DType::i64), cast(input_lengths, DType::i64), lengths});
  if (reduction == Reduction::mean) y = y / cast(maximum(lengths, 1), y.dtype());
  return reduced(y, number_of(reduction));
}

}  // namespace nacre
