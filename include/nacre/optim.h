// Optimisers and learning-rate schedules.
//
//   AdamW opt(model.trainable(), {.lr = 1e-3, .weight_decay = 0.01});
//   Tensor loss = cross_entropy(model(x, ctx), y);
//   opt.step(grad(loss, values(model.trainable())));
//   model.state()->commit({loss});                 // one plan: forward, backward and update
//
// An optimiser's step only records the update; commit() computes it. Its own state (momentum and so
// on) are Variables with names such as "exp_avg.conv1.weight", so that checkpoints hold them. The
// learning rate is an input of the plan: a schedule never recompiles.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

class Optimizer {
 public:
  explicit Optimizer(std::vector<Variable> parameters, double lr);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Records the update for these gradients, one for each parameter. Throws Error if their number
  /// or shapes do not fit. With `only_if`, a boolean scalar, parameters and state stay as they are
  /// where it is false; steps() counts on.
  void step(const Tensors& gradients, const Tensor& only_if = {});

  double lr() const { return lr_; }
  void set_lr(double lr) { lr_ = lr; }
  /// Factors on the learning rate, one for each parameter (discriminative rates). Default 1.
  void set_lr_scales(std::vector<double> scales);
  /// Trains these parameters from now on, and with scales of 1; those that it had before keep their
  /// momentum and the like. `since`: the steps taken before each joined, which bias corrections do
  /// not count; empty: 0 for all.
  void set_parameters(std::vector<Variable> parameters, std::vector<int64_t> since = {});
  /// Steps taken.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t n) { steps_ = n; }
  /// Forgets all steps, as if newly made: momentum and the like are gone, steps() is 0.
  void reset();
  const std::vector<Variable>& parameters() const { return parameters_; }
  /// Momentum and the like, by name; what a checkpoint has to hold besides the parameters.
  const std::shared_ptr<State>& state() const { return state_; }
  /// "adamw".
  virtual std::string name() const = 0;

 protected:
  /// The new value of parameter i. t counts steps from 1.
  virtual Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) = 0;
  /// A variable of the optimiser's own for parameter i, made on first use with this value
  /// everywhere. All state of an optimiser is reached by it.
  Variable slot(const char* name, size_t i, double initial = 0);

 private:
  std::vector<Variable> parameters_;
  std::vector<double> scales_;
  std::vector<int64_t> since_;
  double lr_;
  int64_t steps_ = 0;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::vector<std::pair<std::string, std::vector<Variable>>> slots_;  ///< found without names
  bool conditional_ = false;                                          ///< this step has a condition
  std::vector<std::pair<Variable, Tensor>> reached_;  ///< by slot() in this step, with its value
};

// Each struct of options has the defaults of PyTorch's optimiser of that name.

/// Stochastic gradient descent with momentum (Sutskever et al. 2013; dampening 0).
class SGD : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2, momentum = 0, weight_decay = 0;
    bool nesterov = false;
  };
  SGD(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "sgd"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Duchi et al. 2011.
class Adagrad : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2, lr_decay = 0, weight_decay = 0, initial_accumulator = 0, eps = 1e-10;
  };
  Adagrad(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "adagrad"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Zeiler 2012.
class Adadelta : public Optimizer {
 public:
  struct Options {
    double lr = 1, rho = 0.9, eps = 1e-6, weight_decay = 0;
  };
  Adadelta(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "adadelta"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Tieleman and Hinton 2012.
class RMSprop : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
    bool centered = false;
  };
  RMSprop(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "rmsprop"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Options of Adam and its relatives.
struct AdamOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

/// Kingma and Ba 2015. Weight decay is added to the gradient; see AdamW.
class Adam : public Optimizer {
 public:
  Adam(std::vector<Variable> p, const AdamOptions& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "adam"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;
  AdamOptions o_;
};

/// Decoupled weight decay (Loshchilov and Hutter 2019). PyTorch's default decay is 1e-2.
class AdamW : public Adam {
 public:
  AdamW(std::vector<Variable> p, const AdamOptions& o) : Adam(std::move(p), o) {}
  std::string name() const override { return "adamw"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;
};

/// Adam for tables of which a step uses few rows: where the gradient of an entry is zero, the entry
/// and its averages stay as they are (PyTorch's SparseAdam, entry by entry). Such a step costs by
/// the rows that were used; SGD without momentum and Adagrad, without weight decay, do so too.
class SparseAdam : public Adam {
 public:
  SparseAdam(std::vector<Variable> p, const AdamOptions& o) : Adam(std::move(p), o) {}
  std::string name() const override { return "sparse_adam"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;
};

/// Adam with Nesterov momentum (Dozat 2016).
class NAdam : public Optimizer {
 public:
  NAdam(std::vector<Variable> p, const AdamOptions& o, double momentum_decay = 4e-3)
      : Optimizer(std::move(p), o.lr), o_(o), decay_(momentum_decay) {}
  std::string name() const override { return "nadam"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  double mu(int64_t t) const;
  AdamOptions o_;
  double decay_;
  int64_t product_steps_ = 0;
  double product_ = 1;  ///< of mu(1) to mu(product_steps_)
};

/// Rectified Adam (Liu et al. 2020).
class RAdam : public Optimizer {
 public:
  RAdam(std::vector<Variable> p, const AdamOptions& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "radam"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  AdamOptions o_;
};

/// Adam by the infinity norm (Kingma and Ba 2015, section 7). PyTorch's default lr is 2e-3.
class Adamax : public Optimizer {
 public:
  Adamax(std::vector<Variable> p, const AdamOptions& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "adamax"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  AdamOptions o_;
};

/// Layer-wise adaptive Adam for large batches (You et al. 2020), decoupled decay, with bias
/// correction.
class LAMB : public Optimizer {
 public:
  LAMB(std::vector<Variable> p, const AdamOptions& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "lamb"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  AdamOptions o_;
};

/// Layer-wise adaptive SGD for large batches (You et al. 2017).
class LARS : public Optimizer {
 public:
  struct Options {
    double lr = 1e-1, momentum = 0.9, weight_decay = 0, trust = 1e-3, eps = 1e-8;
  };
  LARS(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "lars"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Chen et al. 2023.
class Lion : public Optimizer {
 public:
  struct Options {
    double lr = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
  };
  Lion(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "lion"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Resilient propagation, by signs, for full batches (Riedmiller and Braun 1993).
class Rprop : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2, eta_minus = 0.5, eta_plus = 1.2, step_min = 1e-6, step_max = 50;
  };
  Rprop(std::vector<Variable> p, const Options& o) : Optimizer(std::move(p), o.lr), o_(o) {}
  std::string name() const override { return "rprop"; }

 protected:
  Tensor update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) override;

 private:
  Options o_;
};

/// Limited-memory BFGS with strong Wolfe line search, for full batches (Nocedal and Wright 2006,
/// algorithms 7.4, 3.5, 3.6). Works on a function that returns loss and gradients at the present
/// parameters, and evaluates as it goes.
class LBFGS {
 public:
  struct Options {
    double lr = 1, tolerance_gradient = 1e-7, tolerance_change = 1e-9;
    int history = 10, max_iterations = 20;
  };
  LBFGS(std::vector<Variable> parameters, const Options& o);
  /// Up to max_iterations iterations; returns the last loss.
  double step(const std::function<Tensor()>& loss);

 private:
  std::vector<Variable> parameters_;
  Options o_;
  std::vector<std::vector<double>> s_, y_;
};

/// An optimiser by name with its usual options: "sgd", "momentum" (SGD with 0.9), "nesterov",
/// "adagrad", "adadelta", "rmsprop", "rmsprop_momentum" (alpha 0.9, eps 1e-3, and momentum, as the
/// mobile networks were trained), "adam", "adamw", "nadam", "radam", "adamax", "lamb", "lars",
/// "lion", "rprop". Throws Error(usage).
std::unique_ptr<Optimizer> make_optimizer(const std::string& name, std::vector<Variable> parameters,
                                          double lr, double weight_decay = 0,
                                          double momentum = 0.9);
std::vector<std::string> optimizer_names();

// ---- gradients before the step

/// Scales all gradients so that their joint 2-norm is at most `max_norm`. Returns the norm before
/// (a graph).
Tensor clip_grad_norm(Tensors& gradients, double max_norm);
/// Limits each element to +-limit.
void clip_grad_value(Tensors& gradients, double limit);
/// l1 * sum |p| + l2 / 2 * sum p^2 over the parameters, to be added to a loss.
Tensor penalty(const std::vector<Variable>& parameters, double l1, double l2);
/// Proximal steps after an update: soft threshold (L1) and hard threshold (L0), exact zeros.
void proximal_l1(const std::vector<Variable>& parameters, double threshold);
void proximal_l0(const std::vector<Variable>& parameters, double threshold);

/// L0 regularisation of any model (Louizos, Welling and Kingma 2018): a gate in [0, 1] on each
/// output channel or unit of chosen layers. In training gates are drawn from the hard-concrete
/// distribution at each pass, elsewhere they have a fixed value; under the penalty many become
/// exactly 0.
///
///   L0Gates gates(net, {"conv1", "fc1"}, {});   // an optimiser trains gates.parameters() too
///   gates.attach(ctx);                          // before each pass
///   Tensor loss = cross_entropy(net(x, ctx), y) + 1e-5 * gates.expected_weights();
///   ...
///   gates.prune();                              // exact zeros; gates are needed no more
class L0Gates {
 public:
  struct Options {
    double open = 0.9;  ///< probability of a gate not to be 0, at the start
    double temperature = 2.0 / 3, low = -0.1, high = 1.1;  ///< beta, gamma and zeta of the paper
  };
  /// Layers by module path; each must have a "weight" [out, in, kernel...]. The function after a
  /// layer has to map 0 to 0 (as ReLU does) for a closed gate to remove its channel. Throws
  /// Error(usage).
  L0Gates(const Module& net, const std::vector<std::string>& layers, const Options& o);
  /// Gates the layers in passes with this context, which must not outlive the gates.
  void attach(Context& ctx) const;
  /// The expected number of weights behind open gates: the L0 norm's differentiable stand-in.
  Tensor expected_weights() const;
  /// The values of the gates outside training, by layer.
  std::vector<std::vector<float>> values() const;
  /// Multiplies weights and biases by the gates. The model then gives without gates what it gave
  /// with them.
  void prune();
  /// One logit a gate, named "log_alpha.<layer>".
  const std::vector<Variable>& parameters() const { return state_->variables(); }
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  struct Layer {
    std::string path;
    Variable weight, bias, log_alpha;
  };
  Tensor gate(const Layer& layer, const Key* key) const;
  Options o_;
  std::vector<Layer> layers_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// Averages of weights: exponential (decay d: a = d a + (1 - d) p) or, with decay < 0, the plain
/// mean of all updates (SWA).
class Average {
 public:
  Average(std::vector<Variable> parameters, double decay);
  /// Records the update with the parameters' present values. With `only_if`, a boolean scalar, the
  /// averages stay as they are where it is false; updates() counts on.
  void update(const Tensor& only_if = {});
  /// Exchanges parameters and averages; call again to go back.
  void swap();
  const std::shared_ptr<State>& state() const { return state_; }
  int64_t updates() const { return updates_; }
  void set_updates(int64_t n) { updates_ = n; }

 private:
  std::vector<Variable> parameters_, averages_;
  double decay_;
  int64_t updates_ = 0;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// ---- schedules

/// The learning rate as a function of the step (0, 1, 2, ...), or for plateau of the metric.
class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual double at(int64_t step) const = 0;
  /// Told once an epoch; only plateau listens. Lower is better.
  virtual void metric(double) {}
  /// What has to be stored besides the step.
  virtual std::vector<double> memory() const { return {}; }
  virtual void restore(const std::vector<double>&) {}
};

namespace schedule {
using P = std::unique_ptr<Schedule>;
P constant(double lr);
/// lr * gamma^(step / every).
P step(double lr, int64_t every, double gamma = 0.1);
/// lr * gamma^(milestones passed).
P multi_step(double lr, std::vector<int64_t> milestones, double gamma = 0.1);
P exponential(double lr, double gamma);
/// From lr to min_lr along half a cosine over `period` steps, then again with period * factor
/// (Loshchilov and Hutter 2017).
P cosine(double lr, int64_t period, double min_lr = 0, double factor = 1);
/// Smith and Topin 2018, cosine form: from max_lr / div up over warmup * steps, down to max_lr /
/// div / final_div.
P one_cycle(double max_lr, int64_t steps, double warmup = 0.3, double div = 25,
            double final_div = 1e4);
P polynomial(double lr, int64_t steps, double power = 1, double end_lr = 0);
/// Linear from 0 over `steps`, then the other.
P warmup(int64_t steps, P after);
/// lr * factor after `patience` epochs without a metric better by `threshold` (relative).
P plateau(double lr, double factor = 0.1, int64_t patience = 10, double threshold = 1e-4,
          double min_lr = 0);
/// From text: "cosine", "one_cycle", "step:30:0.1", "multi_step:10,20:0.1", "exponential:0.95",
/// "polynomial:2", "plateau:3", "constant", each optionally with "warmup:N+" before. Epochs are
/// counted in steps_per_epoch.
P parse(const std::string& text, double lr, int64_t steps_per_epoch, int64_t epochs);
}  // namespace schedule

}  // namespace nacre
