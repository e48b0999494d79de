#include "train/transfer.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

constexpr size_t kShown = 10;

std::string some(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kShown; ++i)
    text += (i ? ", " : "") + clip(printable(names[i]), 160);
  return text + (names.size() > kShown ? cat({" and ", names.size() - kShown, " others"}) : "");
}

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// Weights of normalisations: vectors with a bias beside them.
bool is_normalisation(const Module& net, const Variable& v) {
  const auto dot = v.name().rfind('.');
  if (dot == std::string::npos) return false;
  const Variable weight = net.state()->find(v.name().substr(0, dot) + ".weight");
  return weight.defined() && weight.value().rank() == 1;
}

}  // namespace

std::string Start::text() const {
  std::string text = cat({file, ": ", taken, taken == 1 ? " array is" : " arrays are", " taken"});
  std::vector<std::string> rest, left;
  std::set<std::string> shaped;
  for (const std::string& name : wrong_shape) shaped.insert(name.substr(0, name.find(' ')));
  for (const std::string& name : fresh)
    if (!shaped.count(name)) rest.push_back(name);
  const std::set<std::string> used(asked.begin(), asked.end());
  for (const std::string& name : names)
    if (!used.count(name) && !is_idle_array(name)) left.push_back(name);
  std::string begins = some(wrong_shape);
  if (!rest.empty()) begins += (begins.empty() ? "" : ", ") + some(rest);
  if (!begins.empty()) text += "; fresh: " + begins;
  if (!left.empty()) text += "; left in the file: " + some(left);
  return text;
}

Json Start::to_json() const {
  Json j = Json::object();
  j["file"] = file;
  j["taken"] = taken;
  for (const auto& [name, list] : {std::pair{"fresh", &fresh}, {"wrong_shape", &wrong_shape}}) {
    j[name] = Json::array();
    for (const std::string& text : *list) j[name].push_back(text);
  }
  return j;
}

Start Start::from_json(const Json& j) {
  Start s;
  s.file = j.at("file").text();
  s.taken = j.at("taken").integer();
  for (const Json& text : j.at("fresh").list()) s.fresh.push_back(text.text());
  for (const Json& text : j.at("wrong_shape").list()) s.wrong_shape.push_back(text.text());
  return s;
}

Scope scope_from(const std::string& path, const Key& key, Start* start) {
  if (path.ends_with(".onnx"))
    fail(Error::Kind::usage,
         {path, " is a network, training starts from weights: nacre convert ", path,
          " weights.safetensors writes them, then --from weights.safetensors"});
  std::vector<NamedTensor> tensors = read_weights(path).tensors;
  start->file = path;
  for (const auto& [name, array] : tensors) start->names.push_back(name);
  const Scope::Source source = weights_source(std::move(tensors));
  return Scope::load(
      [source, start](const std::string& name, const Shape& shape, DType dtype) {
        Tensor t = source(name, shape, dtype);
        start->asked.push_back(name);
        if (t.defined() && t.shape() != shape) {
          start->wrong_shape.push_back(
              cat({name, " (", t.shape(), ", the model wants ", shape, ")"}));
          t = Tensor();
        }
        if (!t.defined()) start->fresh.push_back(name);
        start->taken += t.defined();
        return t;
      },
      false, key.fold_in("init"));
}

Transfer::Transfer(const TrainConfig& c, Module& net, const Shape& input, const Start& start,
                   const Key& key)
    : net_(net),
      layers_(net, input),
      lr_scale_(c.lr_scale),
      layer_decay_(c.layer_decay),
      l1_(c.l1),
      l2_(c.l2),
      l2_sp_(c.l2_sp) {
  const auto needs_start = [&](bool used, const char* setting) {
    if (used && start.file.empty())
      fail(Error::Kind::usage,
           {setting, " is for weights to start from; name their file with from"});
  };
  needs_start(c.adapter != "none", "adapter");
  needs_start(c.l2_sp > 0, "l2_sp");
  if (c.adapter != "none") {
    const auto parameters = net.parameters();
    const std::vector<std::string> head = layers_.matching("head");
    Adapters::Options o;
    o.kind = c.adapter == "lora" ? Adapters::Kind::lora : Adapters::Kind::residual;
    o.rank = c.adapter_rank;
    o.alpha = c.adapter_alpha;
    o.layers = c.adapter_layers;
    o.except = start.fresh;
    o.except.insert(o.except.end(), head.begin(), head.end());
    adapters_ = std::make_unique<Adapters>(net, input, o, key.fold_in("adapters"));
    for (Variable v : parameters)
      if (!has(o.except, v.name()) && !is_normalisation(net, v)) v.freeze();
  }
  if (!c.freeze.empty()) layers_.freeze(c.freeze);
  if (!c.unfreeze.empty()) unfreezing_ = std::make_unique<Unfreezing>(layers_, c.unfreeze);
  const std::vector<Variable> all = ever_trained();
  if (all.empty()) fail(Error::Kind::usage, {"freeze '", c.freeze, "' leaves nothing to train"});
  scales(all);
  enter(0);
  if (trained(0).empty())
    fail(Error::Kind::usage, {"unfreeze '", c.unfreeze, "' and freeze '", c.freeze,
                              "' leave nothing to train in epoch 0"});
  std::vector<std::string> late;
  for (const Variable& v : all)
    if (since(v) >= c.epochs) late.push_back(v.name());
  if (!late.empty())
    log_warning({"unfreeze '", c.unfreeze, "' never trains ", some(late),
                 ": epochs count from 0, "
                 "the last of this run is ",
                 c.epochs - 1});
  int64_t count = 0;
  for (const Variable& v : trained(0)) count += v.value().numel();
  const int64_t whole = net.parameter_count();
  if (!start.file.empty() || count != whole)
    log_info({start.file.empty() ? "" : start.text() + "; ", count, " of ",
              whole + (adapters_ ? adapters_->parameter_count() : 0), " parameters are trained",
              unfreezing_ ? " at first" : ""});
  const std::vector<std::string> first = layers_.by_depth().front();
  for (const std::string& text : start.wrong_shape)
    for (const std::string& stem : first)
      if (text.starts_with(stem + " "))
        log_warning({"the first layer starts fresh: ", text,
                     "; the option channels of the model, as in --options channels=3, may fit it "
                     "to the file"});
  if (l2_sp_ > 0)
    for (const Variable& v : all)
      if (has(start.asked, v.name()) && !has(start.fresh, v.name())) near_.push_back(v);
  start_ = values(near_);
}

std::vector<Variable> Transfer::ever_trained() const {
  std::vector<Variable> list;
  for (const Variable& v : net_.parameters())
    if (unfreezing_ ? unfreezing_->since(v) >= 0 : v.trainable()) list.push_back(v);
  if (adapters_)
    list.insert(list.end(), adapters_->parameters().begin(), adapters_->parameters().end());
  return list;
}

int64_t Transfer::since(const Variable& v) const {
  if (!unfreezing_ || !net_.state()->find(v.name()).defined()) return 0;
  return unfreezing_->since(v);
}

std::vector<Variable> Transfer::trained(int64_t epoch) const {
  std::vector<Variable> list;
  for (const Variable& v : ever_trained())
    if (since(v) <= epoch) list.push_back(v);
  return list;
}

void Transfer::enter(int64_t epoch) const {
  if (unfreezing_) unfreezing_->apply(epoch);
}

std::vector<double> Transfer::scales(const std::vector<Variable>& of) const {
  return layers_.lr_scales(of, lr_scale_, layer_decay_);
}

Tensor Transfer::penalty(const std::vector<Variable>& of) const {
  Tensor total;
  const auto add = [&](const Tensor& t) { total = total.defined() ? total + t : t; };
  if (l2_sp_ <= 0) {
    if (l1_ > 0 || l2_ > 0) add(nacre::penalty(of, l1_, l2_));
    return total;
  }
  std::vector<Variable> near, others;
  Tensors start;
  for (const Variable& v : of) {
    const auto at = std::find_if(near_.begin(), near_.end(),
                                 [&](const Variable& n) { return n.name() == v.name(); });
    if (at == near_.end()) {
      others.push_back(v);
    } else {
      near.push_back(v);
      start.push_back(start_[static_cast<size_t>(at - near_.begin())]);
    }
  }
  if (!near.empty()) add(distance_penalty(near, start, l2_sp_));
  if (l2_ > 0 && !others.empty()) add(nacre::penalty(others, 0, l2_));
  if (l1_ > 0) add(nacre::penalty(of, l1_, 0));
  return total;
}

}  // namespace nacre
