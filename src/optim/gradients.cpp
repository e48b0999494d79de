// What is done to gradients before a step and to weights after it.
#include "nacre/optim.h"

namespace nacre {

Tensor clip_grad_norm(Tensors& gradients, double max_norm) {
  Tensor total = Tensor::scalar(0, DType::f32);
  for (const Tensor& g : gradients) total = total + cast(sum(g * g), DType::f32);
  const Tensor norm = sqrt(total);
  const Tensor factor = minimum(max_norm / (norm + 1e-6), 1.0);
  for (Tensor& g : gradients) g = g * cast(factor, g.dtype());
  return norm;
}

void clip_grad_value(Tensors& gradients, double limit) {
  for (Tensor& g : gradients) g = maximum(minimum(g, limit), -limit);
}

Tensor penalty(const std::vector<Variable>& parameters, double l1, double l2) {
  Tensor total;
  const auto add_term = [&](const Tensor& t) { total = total.defined() ? total + t : t; };
  for (const Variable& p : parameters) {
    if (l1 != 0) add_term(l1 * sum(abs(p.value())));
    if (l2 != 0) add_term(0.5 * l2 * sum(p.value() * p.value()));
  }
  return total.defined() ? total : Tensor::scalar(0, DType::f32);
}

void proximal_l1(const std::vector<Variable>& parameters, double threshold) {
  NoGrad guard;
  for (Variable p : parameters) {
    const Tensor& w = p.value();
    p.set(sign(w) * maximum(abs(w) - threshold, 0.0));
  }
}

void proximal_l0(const std::vector<Variable>& parameters, double threshold) {
  NoGrad guard;
  for (Variable p : parameters) {
    const Tensor& w = p.value();
    p.set(where(abs(w) > threshold, w, 0.0));
  }
}

Average::Average(std::vector<Variable> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  for (const Variable& p : parameters_) {
    // Memory of its own from the start: so the first step is the plan of all others.
    const Tensor& v = p.value();
    const size_t bytes = static_cast<size_t>(v.numel()) * size_of(v.dtype());
    averages_.push_back(state_->add(
        "average." + p.name(), Tensor::from_bytes(v.data(), bytes, v.shape(), v.dtype()), false));
  }
}

void Average::update(const Tensor& only_if) {
  NoGrad guard;
  ++updates_;
  const double keep = decay_ >= 0 ? decay_ : 1 - 1 / static_cast<double>(updates_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& now = averages_[i].value();
    const Tensor next = keep * now + (1 - keep) * parameters_[i].value();
    averages_[i].set(only_if.defined() ? where(only_if, next, now) : next);
  }
}

void Average::swap() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor p = parameters_[i].value(), a = averages_[i].value();
    parameters_[i].set(a);
    averages_[i].set(p);
    eval({parameters_[i].value(), averages_[i].value()});
    parameters_[i].commit();
    averages_[i].commit();
  }
}

}  // namespace nacre
