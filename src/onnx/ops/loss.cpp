// Losses, and the optimisers and gradients of ai.onnx.preview.training.
#include "nacre/autograd.h"
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

/// The negative of the log-probability of each target class, weighted and reduced.
Tensor nll(const Call& c, const Tensor& log_probs, const Tensor& target, const Tensor& weight) {
  c.check(log_probs.rank() >= 2 && target.rank() == log_probs.rank() - 1,
          {"input ", log_probs.shape(), " and target ", target.shape()});
  const Tensor at = cast(target, DType::i64);
  const bool ignores = c.given("ignore_index");
  const Tensor ignored = ignores ? eq(at, c.i("ignore_index")) : Tensor();
  const Tensor safe = ignores ? where(ignored, 0, at) : at;
  Tensor loss = squeeze(-gather(log_probs, 1, unsqueeze(safe, 1)), {1});
  Tensor w = weight.defined() ? index_select(weight, 0, safe) : ones(loss.shape(), loss.dtype());
  if (ignores) w = where(ignored, 0.0, w);
  loss = where(eq(w, 0.0), 0.0, loss * w);
  const std::string reduction = c.s("reduction", "mean");
  if (reduction == "none") return loss;
  if (reduction == "sum") return sum(loss);
  c.check(reduction == "mean", {"reduction '", reduction, "' is not known"});
  return sum(loss) / sum(w);
}

/// The two scalars that all optimisers begin with, then n tensors each of X, G and their states.
size_t groups(const Call& c, size_t per) {
  c.check(c.in.size() > 2 && (c.in.size() - 2) % per == 0,
          {"has ", c.in.size(), " inputs, 2 and a multiple of ", per, " are needed"});
  return (c.in.size() - 2) / per;
}

Values adagrad(Call& c) {
  const size_t n = groups(c, 3);
  const Tensor rate = c[0] / (1.0 + cast(c[1], c[0].dtype()) * c.f("decay_factor"));
  Values x, h;
  for (size_t k = 0; k < n; ++k) {
    const Tensor& value = c[2 + k];
    const Tensor g = c[2 + n + k] + value * c.f("norm_coefficient");
    const Tensor sum = c[2 + 2 * n + k] + square(g);
    x.push_back(value - rate * g / (sqrt(sum) + c.f("epsilon")));
    h.push_back(sum);
  }
  x.insert(x.end(), h.begin(), h.end());
  return x;
}

Values momentum(Call& c) {
  const size_t n = groups(c, 3);
  const double alpha = c.f("alpha");
  const bool nesterov = c.s("mode") == "nesterov";
  // At the first step the new gradient counts whole.
  const Tensor beta = where(eq(c[1], 0), 1.0, Tensor::scalar(c.f("beta"), c[0].dtype()));
  Values x, v;
  for (size_t k = 0; k < n; ++k) {
    const Tensor& value = c[2 + k];
    const Tensor g = c[2 + n + k] + value * c.f("norm_coefficient");
    const Tensor next = c[2 + 2 * n + k] * alpha + g * beta;
    x.push_back(value - c[0] * (nesterov ? g + next * alpha : next));
    v.push_back(next);
  }
  x.insert(x.end(), v.begin(), v.end());
  return x;
}

Values adam(Call& c) {
  const size_t n = groups(c, 4);
  const double alpha = c.f("alpha", 0.9), beta = c.f("beta", 0.999);
  const Tensor t = cast(c[1], c[0].dtype());
  const Tensor corrected =
      where(t > 0, c[0] * sqrt(1.0 - pow(beta, t)) / (1.0 - pow(alpha, t)), c[0]);
  Values x, v, h;
  for (size_t k = 0; k < n; ++k) {
    const Tensor& value = c[2 + k];
    const Tensor g = c[2 + n + k] + value * c.f("norm_coefficient");
    const Tensor first = c[2 + 2 * n + k] * alpha + g * (1 - alpha);
    const Tensor second = c[2 + 3 * n + k] * beta + square(g) * (1 - beta);
    const Tensor next = value - corrected * first / (sqrt(second) + c.f("epsilon", 1e-6));
    x.push_back(next * (1 - c.f("norm_coefficient_post")));
    v.push_back(first);
    h.push_back(second);
  }
  x.insert(x.end(), v.begin(), v.end());
  x.insert(x.end(), h.begin(), h.end());
  return x;
}

/// Gradients of the value `y` with respect to the values `xs`, all of the graph.
Values gradient(Call& c) {
  c.in.all();  // they stand for the inputs of the part of the graph, which the names tell
  Tensors xs;
  for (const std::string& name : c.ss("xs")) xs.push_back(c.lookup(name).tensor());
  const Tensor y = c.lookup(c.s("y")).tensor();
  Values out;
  for (const Tensor& t : vjp({y}, xs, {ones(y.shape(), y.dtype())})) out.push_back(t);
  return out;
}

constexpr const char* kTraining = "ai.onnx.preview.training";

}  // namespace

ONNX(NegativeLogLikelihoodLoss) = {
    "NegativeLogLikelihoodLoss",
    [](Call& c) -> Values { return {nll(c, c[0], c[1], c.optional(2))}; }, "", "2"};
ONNX(SoftmaxCrossEntropyLoss) = {"SoftmaxCrossEntropyLoss",
                                 [](Call& c) -> Values {
                                   const Tensor log_probs = log_softmax(c[0], 1);
                                   return {nll(c, log_probs, c[1], c.optional(2)), log_probs};
                                 },
                                 "", "2"};
ONNX(training_Adagrad) = {"Adagrad", adagrad, kTraining};
ONNX(training_Momentum) = {"Momentum", momentum, kTraining};
ONNX(training_Adam) = {"Adam", adam, kTraining};
ONNX(training_Gradient) = {"Gradient", gradient, kTraining, "", true};

}  // namespace nacre::onnx
