#include "nacre/optim.h"

#include <algorithm>

#include "graph/node.h"

namespace nacre {

Optimizer::Optimizer(std::vector<Variable> parameters, double lr) : lr_(lr) {
  set_parameters(std::move(parameters));
}

void Optimizer::set_parameters(std::vector<Variable> parameters, std::vector<int64_t> since) {
  if (parameters.empty())
    fail(Error::Kind::usage, {"[optimizer] there are no parameters to train"});
  if (since.empty()) since.assign(parameters.size(), 0);
  if (since.size() != parameters.size())
    fail(Error::Kind::usage,
         {"[optimizer] ", since.size(), " beginnings for ", parameters.size(), " parameters"});
  parameters_ = std::move(parameters);
  since_ = std::move(since);
  scales_.assign(parameters_.size(), 1.0);
  slots_.clear();  // found again by name
}

void Optimizer::set_lr_scales(std::vector<double> scales) {
  if (scales.size() != parameters_.size())
    fail(Error::Kind::usage, {"[optimizer] ", scales.size(), " learning-rate scales for ",
                              parameters_.size(), " parameters"});
  scales_ = std::move(scales);
}

Variable Optimizer::slot(const char* name, size_t i, double initial) {
  auto at = std::find_if(slots_.begin(), slots_.end(), [&](auto& s) { return s.first == name; });
  if (at == slots_.end()) at = slots_.emplace(at, name, std::vector<Variable>(parameters_.size()));
  Variable& v = at->second[i];
  if (!v.defined()) {
    const std::string full = std::string(name) + "." + parameters_[i].name();
    v = state_->find(full);
    if (!v.defined()) {
      const Tensor& p = parameters_[i].value();
      Tensor value = nacre::full(p.shape(), initial, p.dtype());
      eval(value);
      v = state_->add(full, value, false);
    }
  }
  const auto known = [&](const auto& r) { return r.first.name() == v.name(); };
  if (conditional_ && std::none_of(reached_.begin(), reached_.end(), known))
    reached_.emplace_back(v, v.value());
  return v;
}

void Optimizer::reset() {
  state_ = std::make_shared<State>();
  slots_.clear();
  steps_ = 0;
}

void Optimizer::step(const Tensors& gradients, const Tensor& only_if) {
  if (gradients.size() != parameters_.size())
    fail(Error::Kind::shape, {"[optimizer] ", gradients.size(), " gradients for ",
                              parameters_.size(), " parameters", where()});
  NoGrad guard;
  ++steps_;
  conditional_ = only_if.defined();
  reached_.clear();  // an update that threw may have left some
  const auto chosen = [&](Tensor next, const Tensor& now) -> Tensor {
    if (!conditional_) return next;
    const Node& n = *next.node();
    if (!n.op || std::string_view(n.op->name) != "adam_update" || n.evaluated)
      return where(only_if, next, now);
    Tensors in(n.inputs.begin(), n.inputs.end());  // it takes the condition itself
    in.push_back(only_if);
    return make_all(*n.op, n.attrs, in)[next.index()];
  };
  SharedNumbers numbers;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    numbers.restart();
    const Tensor& p = parameters_[i].value();
    if (gradients[i].shape() != p.shape())
      fail(Error::Kind::shape,
           {"[optimizer] the gradient of '", parameters_[i].name(), "' has shape ",
            gradients[i].shape(), ", the parameter ", p.shape(), where()});
    parameters_[i].set(chosen(update(i, p, gradients[i], lr_ * scales_[i], steps_ - since_[i]), p));
    for (auto& [variable, before] : reached_) variable.set(chosen(variable.value(), before));
    reached_.clear();
  }
}

}  // namespace nacre
