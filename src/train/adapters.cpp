// Adapters as functions of weights: the model's code knows nothing of them.
#include <algorithm>
#include <set>

#include "graph/node.h"
#include "nacre/autograd.h"
#include "nacre/transfer.h"

namespace nacre {
namespace {

/// Names of weights of convolutions whose output channels all see all input channels.
std::set<std::string> full_convolutions(Module& net, const Shape& input) {
  NoGrad guard;
  Shape batch = input;
  batch.insert(0, 1);
  Context ctx = Context::eval();
  const Tensor y = net(zeros(batch), ctx);
  std::set<std::string> names;
  for (const Node* n : topological(std::span(&y, 1))) {
    if (n->evaluated || std::string_view(n->op->name) != "conv") continue;
    const Tensor &x = n->inputs[0], &w = n->inputs[1];
    if (x.size(1) != w.size(1)) continue;  // groups
    for (const Variable& v : net.parameters())
      if (v.value().node() == w.node()) names.insert(v.name());
  }
  return names;
}

bool ends_with_weight(const std::string& name) {
  return name == "weight" || name.ends_with(".weight") || name.ends_with("_weight");
}

Tensor flat(const Tensor& w) { return w.rank() == 2 ? w : reshape(w, {w.size(0), -1}); }

}  // namespace

Adapters::Adapters(Module& net, const Shape& input, const Options& o, const Key& key) : o_(o) {
  if (o.rank < 1 || !(o.alpha >= 0))
    fail(Error::Kind::usage, {"adapters should have a rank of at least 1 and an alpha of at least "
                              "0, got ",
                              o.rank, " and ", o.alpha});
  const bool residual = o.kind == Kind::residual;
  const std::vector<std::string> chosen =
      o.layers.empty() ? std::vector<std::string>() : Layers(net, input).matching(o.layers);
  const std::set<std::string> convolutions =
      residual ? full_convolutions(net, input) : std::set<std::string>();
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const Variable& v : net.parameters()) {
    const Tensor& w = v.value();
    const std::string& name = v.name();
    if (w.rank() < 2 || !is_float(w.dtype()) || !ends_with_weight(name) || has(o.except, name))
      continue;
    if (!o.layers.empty() && !has(chosen, name)) continue;
    if (residual && !convolutions.count(name)) continue;
    const int64_t out = w.size(0), columns = residual ? out : w.numel() / out;
    const int64_t rank = std::min({o.rank, out, columns});
    Part part{v, {}, {}, {}};
    if (residual) part.bias = net.state()->find(name.substr(0, name.size() - 6) + "bias");
    const auto add = [&](const char* what, const Shape& shape, const Init& init) {
      const std::string full = std::string(residual ? "residual_" : "lora_") + what + "." + name;
      Tensor value = init(shape, key.fold_in(full));
      if (value.dtype() != w.dtype()) value = cast(value, w.dtype());
      eval(value);
      return state_->add(full, value, true);
    };
    part.a = add("a", {rank, columns}, init::fan_in_uniform());
    part.b = add("b", {out, rank}, init::zeros());
    parts_.push_back(part);
  }
  if (parts_.empty())
    fail(Error::Kind::usage,
         {residual ? "residual adapters are for convolutions without groups, of which the model "
                     "has none"
                   : "the model has no weights for adapters",
          o.layers.empty() ? "" : cat({" among '", o.layers, "'"})});
}

Adapters::~Adapters() = default;

int64_t Adapters::parameter_count() const {
  int64_t n = 0;
  for (const Variable& v : parameters()) n += v.value().numel();
  return n;
}

std::vector<std::pair<Variable, Tensor>> Adapters::corrected() const {
  std::vector<std::pair<Variable, Tensor>> list;
  for (const Part& p : parts_) {
    const Tensor& w = p.weight.value();
    if (o_.kind == Kind::lora) {
      const double rank = static_cast<double>(p.a.value().size(0));
      Tensor change = matmul(p.b.value(), p.a.value());
      if (o_.alpha > 0 && o_.alpha != rank) change = (o_.alpha / rank) * change;
      list.emplace_back(p.weight, w + reshape(change, w.shape()));
      continue;
    }
    const auto changed = [&](const Tensor& of) {
      const Tensor columns = of.rank() == 1 ? reshape(of, {-1, 1}) : flat(of);
      return of + reshape(matmul(p.b.value(), matmul(p.a.value(), columns)), of.shape());
    };
    list.emplace_back(p.weight, changed(w));
    if (p.bias.defined()) list.emplace_back(p.bias, changed(p.bias.value()));
  }
  return list;
}

void Adapters::merge() {
  NoGrad guard;
  std::vector<std::pair<Variable, Tensor>> list = corrected();
  Tensors all;
  for (const auto& [variable, value] : list) all.push_back(value);
  eval(all);
  for (auto& [variable, value] : list) {
    variable.set(value);
    eval(variable.value());
    variable.commit();
  }
  for (const Part& p : parts_) {
    Variable b = p.b;
    b.set(zeros_like(b.value()));
  }
  state_->commit();
}

Adapters::Use::Use(Adapters* adapters, bool values) : adapters_(adapters) {
  if (!adapters_) return;
  std::vector<std::pair<Variable, Tensor>> list;
  if (values) {
    NoGrad guard;
    list = adapters_->corrected();
    Tensors all;
    for (const auto& [variable, value] : list) all.push_back(value);
    eval(all);
  } else {
    list = adapters_->corrected();
  }
  for (auto& [variable, value] : list) variable.substitute(value);
}

Adapters::Use::~Use() {
  if (!adapters_) return;
  for (Part& p : adapters_->parts_) {
    p.weight.substitute({});
    if (p.bias.defined()) p.bias.substitute({});
  }
}

Tensor distance_penalty(const std::vector<Variable>& parameters, const Tensors& start,
                        double alpha) {
  if (parameters.size() != start.size())
    fail(Error::Kind::usage, {"[distance_penalty] ", start.size(), " values to start from for ",
                              parameters.size(), " parameters"});
  Tensor total;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor part = sum(square(parameters[i].value() - start[i]));
    total = total.defined() ? total + part : part;
  }
  return total.defined() ? (alpha / 2) * total : zeros({});
}

}  // namespace nacre
