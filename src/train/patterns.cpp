// Parameters chosen by patterns: what is frozen, and how fast the others learn.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/pattern.h"
#include "graph/node.h"
#include "nacre/autograd.h"
#include "nacre/transfer.h"

namespace nacre {
namespace {

/// Parts between commas that stand in no bracket, brace or parenthesis.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size()) {
      parts.back() += c;
      parts.back() += text[++i];
      continue;
    }
    depth += c == '[' || c == '{' || c == '(';
    depth -= depth > 0 && (c == ']' || c == '}' || c == ')');
    if (c == ',' && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

/// "pattern=0.1" in two.
std::pair<std::string, std::string> split_last(const std::string& item, char mark,
                                               const char* example) {
  const auto at = item.rfind(mark);
  if (at == std::string::npos || at == 0 || at + 1 == item.size())
    fail(Error::Kind::usage, {"'", item, "' should be like ", example});
  return {item.substr(0, at), item.substr(at + 1)};
}

template <typename T>
T number_of(const std::string& text, const std::string& item, const char* want) {
  T v{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || !(v >= 0) ||
      !std::isfinite(static_cast<double>(v)))
    fail(Error::Kind::usage, {"'", text, "' in '", item, "' should be ", want});
  return v;
}

std::string module_of(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

bool has_digit(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool is_number(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "layer1.0.conv1.weight" -> "layer1.0"; "fc.weight" -> "fc".
std::string layer_of(const std::string& name) {
  const std::string module = module_of(name);
  std::string layer;
  bool numbered = false;
  for (size_t at = 0; at < module.size();) {
    const size_t dot = std::min(module.find('.', at), module.size());
    const std::string part = module.substr(at, dot - at);
    if (numbered && !is_number(part)) break;
    numbered = numbered || has_digit(part);
    layer += (layer.empty() ? "" : ".") + part;
    at = dot + 1;
  }
  return layer.empty() ? name : layer;
}

}  // namespace

Layers::Layers(Module& net, const Shape& input) : variables_(net.variables()) {
  NoGrad guard;
  Shape batch = input;
  batch.insert(0, 1);
  Context ctx = Context::eval();
  const Tensor y = net(zeros(batch), ctx);
  std::map<const Node*, uint64_t> used;  // when the first node was made that takes it
  for (const Node* n : topological(std::span(&y, 1)))
    for (const Tensor& in : n->inputs) {
      const auto [at, first] = used.emplace(in.node(), n->order);
      at->second = std::min(at->second, n->order);
    }
  const auto when = [&](const Variable& v) {
    const auto at = used.find(v.value().node());
    return at == used.end() ? UINT64_MAX : at->second;
  };
  parameters_ = net.parameters();
  std::stable_sort(parameters_.begin(), parameters_.end(),
                   [&](const Variable& a, const Variable& b) { return when(a) < when(b); });
  const auto pattern = [&](const char* word, auto begin, auto end) -> std::string {
    for (const Variable& v : parameters_)
      if (v.name().find(word) != std::string::npos) return word;
    const auto at =
        std::find_if(begin, end, [&](const Variable& v) { return when(v) < UINT64_MAX; });
    if (at == end) return word;
    return "^" + Pattern::quoted(module_of(at->name()) + ".");
  };
  stem_ = pattern("stem", parameters_.begin(), parameters_.end());
  head_ = pattern("head", parameters_.rbegin(), parameters_.rend());
}

/// Variables that one pattern matches.
std::vector<Variable> Layers::found(const std::string& pattern) const {
  std::vector<Variable> list;
  bool any = false;
  const Pattern regex(pattern == "stem" ? stem_ : pattern == "head" ? head_ : pattern);
  for (const Variable& v : variables_)
    if (regex.found_in(v.name())) {
      list.push_back(v);
      any = any || v.is_parameter();
    }
  if (any) return list;
  std::vector<std::string> parts;
  for (const Variable& v : parameters_) {
    const std::string part = v.name().substr(0, v.name().find('.'));
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  std::string known;
  for (size_t i = 0; i < parts.size() && i < 12; ++i) known += (i ? ", " : "") + parts[i];
  fail(Error::Kind::usage, {"pattern '", pattern, "' matches no parameter; their names begin with ",
                            known, parts.size() > 12 ? ", ..." : ""});
}

std::vector<std::string> Layers::matching(std::string_view patterns) const {
  std::set<std::string> names;
  for (const std::string& pattern : split_list(patterns))
    for (const Variable& v : found(pattern)) names.insert(v.name());
  std::vector<std::string> list;
  for (const Variable& v : variables_)
    if (names.count(v.name())) list.push_back(v.name());
  return list;
}

int64_t Layers::freeze(std::string_view patterns) const {
  int64_t n = 0;
  const std::vector<std::string> names = matching(patterns);
  for (Variable v : variables_) {
    if (std::find(names.begin(), names.end(), v.name()) == names.end()) continue;
    v.freeze();
    n += v.is_parameter();
  }
  return n;
}

std::vector<std::vector<std::string>> Layers::by_depth() const {
  std::vector<std::pair<std::string, std::vector<std::string>>> layers;
  std::set<std::string> with_weights;
  for (const Variable& v : parameters_) {
    const std::string layer = layer_of(v.name());
    auto at =
        std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.first == layer; });
    if (at == layers.end()) at = layers.insert(at, {layer, {}});
    at->second.push_back(v.name());
    if (v.value().rank() > 1) with_weights.insert(layer);
  }
  std::vector<std::vector<std::string>> list;
  for (auto& [layer, names] : layers)
    if (list.empty() || with_weights.count(layer))
      list.push_back(std::move(names));
    else
      list.back().insert(list.back().end(), names.begin(), names.end());
  return list;
}

std::vector<double> Layers::lr_scales(const std::vector<Variable>& parameters,
                                      std::string_view scales, double decay) const {
  if (!(decay > 0 && decay <= 1))
    fail(Error::Kind::usage,
         {"the rate of a layer, as a share of that above it, should be above 0 and at most 1, got ",
          decay});
  std::map<std::string, double> factor;
  for (const std::string& item : scales.empty() ? std::vector<std::string>() : split_list(scales)) {
    const auto [pattern, text] = split_last(item, '=', "'layer1=0.3': a pattern and a factor");
    const double f = number_of<double>(text, item, "a factor of at least 0");
    for (const Variable& v : found(pattern)) factor.emplace(v.name(), f);
  }
  std::map<std::string, double> depth;
  if (decay < 1) {
    double f = 1;
    const auto layers = by_depth();
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer, f *= decay)
      for (const std::string& name : *layer) depth[name] = f;
  }
  std::vector<double> list;
  for (const Variable& v : parameters) {
    const auto own = factor.find(v.name()), by_depth = depth.find(v.name());
    list.push_back((own == factor.end() ? 1 : own->second) *
                   (by_depth == depth.end() ? 1 : by_depth->second));
  }
  return list;
}

Unfreezing::Unfreezing(const Layers& layers, std::string_view plan) {
  bool at_once = false;
  std::map<std::string, int64_t> epoch_of;
  for (const std::string& item : split_list(plan)) {
    const auto [pattern, text] = split_last(item, '@', "'layer4@2': a pattern and an epoch");
    const int64_t epoch = number_of<int64_t>(text, item, "the number of an epoch, from 0");
    for (const Variable& v : layers.found(pattern)) epoch_of.emplace(v.name(), epoch);
    at_once = at_once || epoch == 0;
  }
  if (!at_once)
    fail(Error::Kind::usage,
         {"'", plan,
          "' trains nothing in epoch 0; begin with what is trained from the start, as "
          "in head@0"});
  std::map<std::string, int64_t> of_module;  // buffers go with the parameters beside them
  for (const Variable& v : layers.variables_) {
    if (v.frozen()) continue;
    variables_.push_back(v);
    const auto at = epoch_of.find(v.name());
    const int64_t epoch = at == epoch_of.end() ? -1 : at->second;
    if (v.is_parameter()) since_[v.name()] = of_module[module_of(v.name())] = epoch;
  }
  for (const Variable& v : variables_)
    if (!v.is_parameter()) {
      const auto module = of_module.find(module_of(v.name()));
      const auto own = epoch_of.find(v.name());
      since_[v.name()] = module != of_module.end() ? module->second
                         : own != epoch_of.end()   ? own->second
                                                   : -1;
    }
}

int64_t Unfreezing::since(const Variable& v) const {
  const auto at = since_.find(v.name());
  return at == since_.end() ? -1 : at->second;
}

void Unfreezing::apply(int64_t epoch) const {
  for (Variable v : variables_) {
    const int64_t from = since(v);
    if (const bool frozen = from < 0 || from > epoch; v.frozen() != frozen) v.freeze(frozen);
  }
}

}  // namespace nacre
