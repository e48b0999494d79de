// The update rules, one function each, as in the papers that nacre/optim.h names.
#include <cmath>

#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

/// The gradient of loss + decay / 2 * |p|^2.
Tensor decayed(const Tensor& g, const Tensor& p, double decay) {
  return decay == 0 ? g : g + decay * p;
}

/// decay * v + (1 - decay) * x, recorded as the new value of v.
Tensor average(Variable v, double decay, const Tensor& x) {
  Tensor next = decay * v.value() + (1 - decay) * x;
  v.set(next);
  return next;
}

Tensor norm2(const Tensor& t) { return sqrt(sum(t * t)); }

}  // namespace

Tensor SGD::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t) {
  Tensor g = decayed(gradient, p, o_.weight_decay);
  if (o_.momentum != 0) {
    Variable buffer = slot("momentum", i);
    const Tensor b =
        o_.momentum * buffer.value() + g;  // from zero: the first step is no other plan
    buffer.set(b);
    g = o_.nesterov ? g + o_.momentum * b : b;
  }
  return p - lr * g;
}

Tensor Adagrad::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  Variable total = slot("sum", i, o_.initial_accumulator);
  const Tensor next = total.value() + g * g;
  total.set(next);
  return p - (lr / (1 + static_cast<double>(t - 1) * o_.lr_decay)) * g / (sqrt(next) + o_.eps);
}

Tensor Adadelta::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  const Tensor square_avg = average(slot("square_avg", i), o_.rho, g * g);
  Variable acc = slot("acc_delta", i);
  const Tensor delta = sqrt(acc.value() + o_.eps) / sqrt(square_avg + o_.eps) * g;
  average(acc, o_.rho, delta * delta);
  return p - lr * delta;
}

Tensor RMSprop::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  Tensor v = average(slot("square_avg", i), o_.alpha, g * g);
  if (o_.centered) {
    const Tensor mean = average(slot("grad_avg", i), o_.alpha, g);
    v = v - mean * mean;
  }
  const Tensor direction = g / (sqrt(v) + o_.eps);
  if (o_.momentum == 0) return p - lr * direction;
  Variable buffer = slot("momentum", i);
  const Tensor b = o_.momentum * buffer.value() + direction;
  buffer.set(b);
  return p - lr * b;
}

namespace {

/// What all parameters have in common in one step.
struct AdamStep {
  AdamOptions options;
  int64_t t = 0;
  double c1 = 0, c2 = 0;  // corrections of the averages, which begin at zero
  Attrs attrs;

  static const OpDef& op() {
    static const OpDef* update = find_op("adam_update");
    return *update;
  }
  static const AdamStep& of(const AdamOptions& o, int64_t t) {
    thread_local AdamStep last;
    const AdamOptions& known = last.options;
    if (!last.attrs || known.beta1 != o.beta1 || known.beta2 != o.beta2 || known.eps != o.eps)
      last.attrs =
          attrs_from_fields(op(), {{"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}});
    else if (last.t == t)
      return last;
    last.options = o;
    last.t = t;
    last.c1 = 1 - std::pow(o.beta1, t);
    last.c2 = 1 - std::pow(o.beta2, t);
    return last;
  }
};

/// The new value of p; m and v are set. shrink: of p before the step.
Tensor adam_step(const AdamOptions& o, const Tensor& p, const Tensor& g, Variable m, Variable v,
                 double lr, int64_t t, double shrink) {
  const AdamStep& step = AdamStep::of(o, t);
  const auto number = [&](double x) { return SharedNumbers::number(x, 0, p.dtype()); };
  const Tensor in[] = {p,
                       cast(g, p.dtype()),
                       m.value(),
                       v.value(),
                       number(lr / step.c1),
                       number(1 / std::sqrt(step.c2)),
                       number(shrink)};
  const Tensors next = make_all(AdamStep::op(), step.attrs, in);
  m.set(next[1]);
  v.set(next[2]);
  return next[0];
}

}  // namespace

Tensor Adam::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  return adam_step(o_, p, decayed(gradient, p, o_.weight_decay), slot("exp_avg", i),
                   slot("exp_avg_sq", i), lr, t, 1);
}

Tensor AdamW::update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) {
  return adam_step(o_, p, g, slot("exp_avg", i), slot("exp_avg_sq", i), lr, t,
                   1 - lr * o_.weight_decay);
}

Tensor SparseAdam::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  const Tensor touched = ne(gradient, zeros_like(gradient));
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  const auto lazy = [&](Variable v, double decay, const Tensor& x) {
    const Tensor next = where(touched, decay * v.value() + (1 - decay) * x, v.value());
    v.set(next);
    return next;
  };
  const Tensor m = lazy(slot("exp_avg", i), o_.beta1, g);
  const Tensor v = lazy(slot("exp_avg_sq", i), o_.beta2, g * g);
  const double c1 = 1 - std::pow(o_.beta1, t), c2 = 1 - std::pow(o_.beta2, t);
  return where(touched, p - (lr * std::sqrt(c2) / c1) * m / (sqrt(v) + o_.eps), p);
}

double NAdam::mu(int64_t t) const {
  return o_.beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(t) * decay_));
}

Tensor NAdam::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  const Tensor m = average(slot("exp_avg", i), o_.beta1, g);
  const Tensor v = average(slot("exp_avg_sq", i), o_.beta2, g * g);
  if (t < product_steps_) {
    product_steps_ = 0;
    product_ = 1;
  }
  while (product_steps_ < t) product_ *= mu(++product_steps_);  // many only after a resume
  const Tensor denominator = sqrt(v / (1 - std::pow(o_.beta2, t))) + o_.eps;
  return p - (lr * (1 - mu(t)) / (1 - product_)) * g / denominator -
         (lr * mu(t + 1) / (1 - product_ * mu(t + 1))) * m / denominator;
}

Tensor RAdam::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  const Tensor m = average(slot("exp_avg", i), o_.beta1, g) / (1 - std::pow(o_.beta1, t));
  const Tensor v = average(slot("exp_avg_sq", i), o_.beta2, g * g);
  const double b2t = std::pow(o_.beta2, t), rho_inf = 2 / (1 - o_.beta2) - 1;
  const double rho = rho_inf - 2 * static_cast<double>(t) * b2t / (1 - b2t);
  if (rho <= 5) return p - lr * m;
  const double r =
      std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho));
  return p - lr * r * std::sqrt(1 - b2t) * m / (sqrt(v) + o_.eps);
}

Tensor Adamax::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  const Tensor g = decayed(gradient, p, o_.weight_decay);
  const Tensor m = average(slot("exp_avg", i), o_.beta1, g);
  Variable norm = slot("exp_inf", i);
  const Tensor u = maximum(o_.beta2 * norm.value(), abs(g) + o_.eps);
  norm.set(u);
  return p - (lr / (1 - std::pow(o_.beta1, t))) * m / u;
}

Tensor LAMB::update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t t) {
  const Tensor m = average(slot("exp_avg", i), o_.beta1, g) / (1 - std::pow(o_.beta1, t));
  const Tensor v = average(slot("exp_avg_sq", i), o_.beta2, g * g) / (1 - std::pow(o_.beta2, t));
  const Tensor r = decayed(m / (sqrt(v) + o_.eps), p, o_.weight_decay);
  const Tensor np = norm2(p), nr = norm2(r);
  const Tensor usable = logical_and(np > 0.0, nr > 0.0);
  return p - lr * where(usable, np / where(usable, nr, 1.0), 1.0) * r;
}

Tensor LARS::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t) {
  const Tensor np = norm2(p), ng = norm2(gradient);
  const Tensor usable = logical_and(np > 0.0, ng > 0.0);
  const Tensor trust = where(usable, o_.trust * np / (ng + o_.weight_decay * np + o_.eps), 1.0);
  Variable buffer = slot("momentum", i);
  const Tensor b = o_.momentum * buffer.value() + trust * decayed(gradient, p, o_.weight_decay);
  buffer.set(b);
  return p - lr * b;
}

Tensor Lion::update(size_t i, const Tensor& p, const Tensor& g, double lr, int64_t) {
  Variable m = slot("exp_avg", i);
  const Tensor direction = sign(o_.beta1 * m.value() + (1 - o_.beta1) * g);
  average(m, o_.beta2, g);
  return p * (1 - lr * o_.weight_decay) - lr * direction;
}

Tensor Rprop::update(size_t i, const Tensor& p, const Tensor& gradient, double lr, int64_t t) {
  Variable before = slot("prev", i), size = slot("step_size", i, lr);
  const Tensor agreement = sign(gradient * before.value());
  const Tensor& s = size.value();  // the factors take its type
  const Tensor changed =
      where(agreement > 0.0, s * o_.eta_plus, where(agreement < 0.0, s * o_.eta_minus, s));
  const Tensor step = t == 1 ? s : clip(changed, o_.step_min, o_.step_max);
  const Tensor g = where(agreement < 0.0, zeros_like(gradient), gradient);
  size.set(step);
  before.set(g);
  return p - sign(g) * step;
}

namespace {
struct Named {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(std::vector<Variable>, double lr, double decay,
                                     double momentum);
};

template <typename O>
std::unique_ptr<Optimizer> adam_like(std::vector<Variable> p, double lr, double decay, double) {
  AdamOptions o;
  o.lr = lr;
  o.weight_decay = decay;
  return std::make_unique<O>(std::move(p), o);
}

const Named kNamed[] = {
    {"sgd",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p), SGD::Options{lr, 0, d, false});
     }},
    {"momentum",
     [](auto p, double lr, double d, double m) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p), SGD::Options{lr, m, d, false});
     }},
    {"nesterov",
     [](auto p, double lr, double d, double m) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p), SGD::Options{lr, m, d, true});
     }},
    {"adagrad",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adagrad>(std::move(p),
                                        Adagrad::Options{.lr = lr, .weight_decay = d});
     }},
    {"adadelta",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adadelta>(std::move(p),
                                         Adadelta::Options{.lr = lr, .weight_decay = d});
     }},
    {"rmsprop",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<RMSprop>(std::move(p),
                                        RMSprop::Options{.lr = lr, .weight_decay = d});
     }},
    {"rmsprop_momentum",
     [](auto p, double lr, double d, double m) -> std::unique_ptr<Optimizer> {
       return std::make_unique<RMSprop>(
           std::move(p),
           RMSprop::Options{.lr = lr, .alpha = 0.9, .eps = 1e-3, .weight_decay = d, .momentum = m});
     }},
    {"adam", adam_like<Adam>},
    {"adamw", adam_like<AdamW>},
    {"sparse_adam", adam_like<SparseAdam>},
    {"nadam",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<NAdam>(std::move(p), AdamOptions{.lr = lr, .weight_decay = d});
     }},
    {"radam", adam_like<RAdam>},
    {"adamax", adam_like<Adamax>},
    {"lamb", adam_like<LAMB>},
    {"lars",
     [](auto p, double lr, double d, double m) -> std::unique_ptr<Optimizer> {
       return std::make_unique<LARS>(std::move(p),
                                     LARS::Options{.lr = lr, .momentum = m, .weight_decay = d});
     }},
    {"lion",
     [](auto p, double lr, double d, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Lion>(std::move(p), Lion::Options{.lr = lr, .weight_decay = d});
     }},
    {"rprop",
     [](auto p, double lr, double, double) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Rprop>(std::move(p), Rprop::Options{.lr = lr});
     }},
};
}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, std::vector<Variable> parameters,
                                          double lr, double weight_decay, double momentum) {
  for (const Named& n : kNamed)
    if (name == n.name) return n.make(std::move(parameters), lr, weight_decay, momentum);
  std::string known;
  for (const Named& n : kNamed) known += (known.empty() ? "" : ", ") + std::string(n.name);
  fail(Error::Kind::usage, {"unknown optimizer '", name, "'; known are ", known});
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Named& n : kNamed) names.emplace_back(n.name);
  return names;
}

}  // namespace nacre
