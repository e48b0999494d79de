#include "ops/loss/loss.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct CrossEntropyAttrs {
  double label_smoothing = 0;
  int64_t ignore_index = -100;
  int64_t reduction = 0;
  void fields(FieldVisitor& v) {
    v("label_smoothing", label_smoothing);
    v("ignore_index", ignore_index);
    v("reduction", reduction);
  }
};

/// Against probabilities.
Tensor soft_targets(const CrossEntropyAttrs& a, const Tensors& in) {
  const Tensor x = rows_of_classes(in[0]);
  Tensor t = rows_of_classes(in[1]);
  if (a.label_smoothing > 0)
    t = t * (1 - a.label_smoothing) + a.label_smoothing / static_cast<double>(x.size(1));
  Tensor y = t * log_softmax(x, 1);
  if (in.size() > 2) y = y * in[2];
  Shape items = in[0].shape();
  items.erase(1);
  return reduced(reshape(neg(sum(y, {1})), items), a.reduction);
}
}  // namespace

/// Cross entropy of logits and targets: -log softmax(logits)[target].
/// logits: NxC or NxCx..., floating. target: class indices Nx... (i64 or i32; those equal to
/// ignore_index do not count), or probabilities of the shape of the logits. label_smoothing in [0,
/// 1] mixes the target with the uniform distribution. weight: one weight for each class; a mean is
/// then weighted too. Reduction::none gives Nx....
API(Tensor cross_entropy(In logits, In target, In weight = Tensor(), double label_smoothing = 0,
                         int64_t ignore_index = -100, Reduction reduction = Reduction::mean))

OP(cross_entropy) = {
    .name = "cross_entropy",
    .kind = OpKind::composite,
    .attrs = attr_type<CrossEntropyAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<CrossEntropyAttrs>();
          in.check(a.label_smoothing >= 0 && a.label_smoothing <= 1,
                   {"label_smoothing ", a.label_smoothing, " is not in [0, 1]"});
          Shape items = in.shape(0);
          if (!is_float(in.dtype(1))) {
            check_classes(in);
          } else {
            in.check(in.rank(0) >= 2, {"predictions have rank ", in.rank(0), ", expected NxCx..."});
            in.check(in.shape(1) == in.shape(0) && in.dtype(1) == in.dtype(0),
                     {"target probabilities have to have the shape and type of the logits"});
            in.check(in.inputs() < 3 ||
                         (in.shape(2) == Shape{in.shape(0)[1]} && in.dtype(2) == in.dtype(0)),
                     {"class weights have shape ", in.shape(in.inputs() - 1), ", expected ",
                      in.shape(0)[1]});
          }
          items.erase(1);
          infer_loss(in, a.reduction, items);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const CrossEntropyAttrs*>(attrs);
      if (is_float(in[1].dtype())) return {soft_targets(a, in)};
      const Tensor x = rows_of_classes(in[0]);
      const Tensor weight = in.size() > 2 ? in[2] : Tensor();
      const Targets t = targets_of(in[1], a.ignore_index, weight, x.dtype());
      Tensor y;
      if (a.label_smoothing == 0) {
        y = softmax_cross_entropy(x, t.index).first * t.weights;
      } else {
        const Tensor p = log_softmax(x, 1);
        const Tensor hard = squeeze(gather(p, 1, unsqueeze(t.index, 1)), {1}) * t.weights;
        const Tensor all = where(t.valid, sum(weight.defined() ? p * weight : p, {1}), 0.0);
        y = hard * (a.label_smoothing - 1) -
            all * (a.label_smoothing / static_cast<double>(x.size(1)));
      }
      return {reduced(reshape(where(t.valid, y, 0.0), in[1].shape()), t.weights, a.reduction)};
    },
    .onnx = "SoftmaxCrossEntropyLoss",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}, -3, 3), s.integers({3}, 0, 4)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "F.cross_entropy({0}, {1})");
          s.add(
              {s.uniform({2, 4, 3}, -3, 3), s.integers({2, 3}, 0, 4)},
              [](const Tensors& x) {
                return Tensors{cross_entropy(x[0], x[1], Tensor(), 0, -100, Reduction::none)};
              },
              "F.cross_entropy({0}, {1}, reduction='none')");
          s.add(
              {s.uniform({4, 3}, -3, 3), s.ints_at({0, -100, 2, 1}, {4})},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "F.cross_entropy({0}, {1})");
          s.add(
              {s.uniform({4, 3}, -3, 3), s.ints_at({0, 1, 2, 1}, {4}), s.uniform({3}, 0.5, 2)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1], x[2], 0, 1)}; },
              "(lambda p, w: -(p[0, 0] * w[0] + p[2, 2] * w[2]) / (w[0] + "
              "w[2]))({0}.log_softmax(1), {2})");
          s.add(
              {s.uniform({4, 3}, -3, 3), s.ints_at({0, 1, 2, 1}, {4}), s.uniform({3}, 0.5, 2)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1], x[2], 0.1, 1)}; },
              "(lambda p, w: -(0.9 * (p[0, 0] * w[0] + p[2, 2] * w[2]) + 0.1 / 3 * (p * w)[[0, "
              "2]].sum()) / (w[0] + w[2]))({0}.log_softmax(1), {2})");
          s.add(
              {s.uniform({4, 3}, -3, 3), s.integers({4}, 0, 3)},
              [](const Tensors& x) {
                return Tensors{cross_entropy(x[0], x[1], Tensor(), 0.3, -100, Reduction::sum)};
              },
              "F.cross_entropy({0}, {1}, label_smoothing=0.3, reduction='sum')");
          s.add(
              {s.uniform({4, 3}, -3, 3), s.uniform({4, 3}, 0, 1)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "F.cross_entropy({0}, {1})");
          s.add(
              {s.uniform({2, 3, 2}, -3, 3), s.uniform({2, 3, 2}, 0, 1), s.uniform({3}, 0.5, 2)},
              [](const Tensors& x) {
                return Tensors{cross_entropy(x[0], x[1], x[2], 0.2, -100, Reduction::none)};
              },
              "F.cross_entropy({0}, {1}, {2}, label_smoothing=0.2, reduction='none')");
          s.add(
              {s.uniform({2, 3}), s.integers({2}, 0, 3, DType::i32)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "F.cross_entropy({0}, {1}.long())");
          s.add(
              {s.uniform({0, 3}), s.integers({0}, 0, 3)},
              [](const Tensors& x) {
                return Tensors{cross_entropy(x[0], x[1], Tensor(), 0, -100, Reduction::sum)};
              },
              "F.cross_entropy({0}, {1}, reduction='sum')");
          s.bad(
              {s.uniform({3, 4}), s.integers({3, 1}, 0, 4)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "targets have shape 3x1, expected 3");
          s.bad(
              {s.uniform({3}), s.integers({3}, 0, 4)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; }, "rank 1");
          s.bad(
              {s.uniform({3, 4}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1])}; },
              "shape and type of the logits");
          s.bad(
              {s.uniform({3, 4}), s.integers({3}, 0, 4), s.uniform({3})},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1], x[2])}; },
              "class weights");
          s.bad(
              {s.uniform({3, 4}), s.integers({3}, 0, 4)},
              [](const Tensors& x) { return Tensors{cross_entropy(x[0], x[1], Tensor(), 2)}; },
              "label_smoothing 2 is not in [0, 1]");
        },
};

Tensor cross_entropy(In logits, In target, In weight, double label_smoothing, int64_t ignore_index,
                     Reduction reduction) {
  Tensors in = {logits, target};
  if (weight->defined()) in.push_back(weight);
  return make(op_cross_entropy,
              box(CrossEntropyAttrs{label_smoothing, ignore_index, number_of(reduction)}), in);
}

}  // namespace nacre
