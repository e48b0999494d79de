#include "train/loss.h"

namespace nacre {
namespace {

/// [n, classes]: shares of the classes, or values.
Tensor targets_of(const Batch& b) { return Tensor::from(b.targets, {b.size(), b.target_width}); }

/// [n, classes]: 1 for the class of a sample, -1 for the others.
Tensor signs(const Batch& b, int64_t classes) {
  return 2.0 * (b.targets.empty() ? one_hot(Tensor::from(b.labels, {b.size()}), classes)
                                  : targets_of(b)) -
         1.0;
}

}  // namespace

std::string choose_loss(const TrainConfig& config, bool regression) {
  const std::string& name = config.loss;
  const std::string chosen = name != "auto" ? name : regression ? "mse" : "cross_entropy";
  if (regression && chosen != "mse")
    fail(Error::Kind::usage, {"loss ", name, " is for classes, the data have values to predict"});
  if (!regression && config.class_weights != "none" && chosen != "cross_entropy" &&
      chosen != "focal")
    fail(Error::Kind::usage,
         {"class_weights need the loss cross_entropy or focal, this is ", chosen});
  if (config.label_smoothing != 0 && chosen != "cross_entropy")
    fail(Error::Kind::usage, {"label_smoothing needs the loss cross_entropy, this is ", chosen});
  return chosen;
}

Tensor loss_of(const std::string& name, const Tensor& y, const Batch& b, double label_smoothing,
               const Tensor& std, const Tensor& class_weights) {
  const bool regression = b.labels.empty();
  if (name == "mse" && std.defined()) return mse_loss(y / std, targets_of(b) / std);
  if (name == "mse") return mse_loss(y, regression ? targets_of(b) : signs(b, y.size(-1)));
  if (name == "perceptron") {
    // A unit at 0 counts as a mistake, otherwise zero weights would never move.
    const Tensor margin = signs(b, y.size(-1)) * y;
    return sum(where(margin <= 0.0, neg(margin), 0.0)) / static_cast<double>(b.size());
  }
  if (name == "margin") {
    const Tensor length = sigmoid(y), there = (signs(b, y.size(-1)) + 1.0) / 2.0;
    const Tensor part = there * square(maximum(0.9 - length, 0.0)) +
                        0.5 * (1.0 - there) * square(maximum(length - 0.1, 0.0));
    return sum(part) / static_cast<double>(b.size());
  }
  const Tensor labels = b.targets.empty() ? Tensor::from(b.labels, {b.size()}) : targets_of(b);
  if (name == "focal") {
    const Tensor log_p = log_softmax(y),
                 t = b.targets.empty() ? one_hot(labels, y.size(-1)) : labels;
    const Tensor part = t * square(1.0 - exp(log_p)) * log_p;
    return neg(sum(class_weights.defined() ? part * class_weights : part)) /
           static_cast<double>(b.size());
  }
  return cross_entropy(y, labels, class_weights, label_smoothing);
}

}  // namespace nacre
