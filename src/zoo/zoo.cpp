#include "nacre/zoo.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <mutex>
#include <sstream>

#include "base/nearest.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/graph.h"
#include "nacre/plugin.h"
#include "nacre/tabular.h"
#include "nn/deformable.h"
#include "ops/plugin.h"
#include "zoo/options.h"

namespace nacre {

std::span<const ModelEntry* const> zoo_models();

namespace {

/// Into the struct; returns the one option that every model has besides, "deform".
std::string read(Options& options, const OptionValues& into) {
  into.type->visit(into.value, options);
  const std::string deform = options.extra("deform");
  options.finish();
  return deform;
}

/// The outputs of a pass in evaluation mode on an input of zeros, and the graph behind them.
Tensor probe(Module& net, const Shape& input,
             const std::function<void(const std::string&, const Tensor&)>& seen) {
  NoGrad guard;
  Context ctx = Context::eval();
  if (seen)
    ctx.hook = [&](const std::string& path, const Tensor& y) {
      seen(path, y);
      return Tensor();
    };
  return net(zeros(input), ctx);
}

struct Rescaled : Module {
  Rescaled(const Scope& s, std::unique_ptr<Module> net, const Tensor& mean, const Tensor& std)
      : Module(s),
        net_(std::move(net)),
        mean_(state()->add("output_mean", mean, false)),
        std_(state()->add("output_std", std, false)) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    return net_->forward(x, ctx) * std_.value() + mean_.value();
  }

 private:
  std::unique_ptr<Module> net_;
  Variable mean_, std_;
};

/// Throws for rows that no fit can take.
void check_rows(const FitData& d, const ModelEntry& entry) {
  const auto rows = static_cast<size_t>(std::max<int64_t>(0, d.rows)),
             columns = static_cast<size_t>(std::max<int64_t>(0, d.columns)),
             outputs = static_cast<size_t>(std::max<int64_t>(0, d.outputs));
  if (rows == 0 || columns == 0 || outputs == 0 || d.x.size() != rows * columns ||
      (d.values() ? d.targets.size() != rows * outputs : d.labels.size() != rows) ||
      (!d.weights.empty() && d.weights.size() != rows))
    fail(Error::Kind::data, {"the rows to fit ", entry.name, " to do not fit together: ", d.rows,
                             " rows of ", d.columns, " columns and ", d.outputs, " outputs, with ",
                             d.x.size(), " numbers, ", d.labels.size(), " labels, ",
                             d.targets.size(), " targets and ", d.weights.size(), " weights"});
  for (size_t i = 0; i < d.x.size(); ++i)
    if (std::isinf(d.x[i]) || (std::isnan(d.x[i]) && !entry.missing))
      fail(Error::Kind::data,
           {"row ", i / columns + 1, " has ", std::isnan(d.x[i]) ? "a missing" : "an infinite",
            " value in column ", i % columns + 1, ", which ", entry.name, " cannot take"});
  for (const int64_t label : d.labels)
    if (label < 0 || label >= d.outputs)
      fail(Error::Kind::data, {"a row has the class ", label, " of ", d.outputs});
  for (const float v : d.targets)
    if (!std::isfinite(v)) fail(Error::Kind::data, {"a value to predict is ", v});
  for (const float w : d.weights)
    if (!(w >= 0) || std::isinf(w)) fail(Error::Kind::data, {"the weight of a row is ", w});
}

struct Registered {
  std::mutex mutex;
  std::vector<const ModelEntry*> models;
};

Registered& registered() {
  static auto* r = new Registered;
  return *r;
}

}  // namespace

void register_model(const ModelEntry& model) {
  if (!model.name || !*model.name || !model.config || !model.make || !model.summary || !model.paper)
    fail(Error::Kind::usage, {"a model needs a name, a summary, a paper, a config and make"});
  for (const ModelEntry* m : all_models())
    if (std::strcmp(m->name, model.name) == 0)
      fail(Error::Kind::usage, {"a model named '", model.name, "' exists already"});
  std::lock_guard lock(registered().mutex);
  registered().models.push_back(&model);
  undo_if_plugin_fails([&model] {
    std::lock_guard lock(registered().mutex);
    std::erase(registered().models, &model);
  });
}

std::vector<const ModelEntry*> all_models() {
  const auto table = zoo_models();
  std::vector<const ModelEntry*> list(table.begin(), table.end());
  {
    std::lock_guard lock(registered().mutex);
    list.insert(list.end(), registered().models.begin(), registered().models.end());
  }
  std::sort(list.begin(), list.end(),
            [](auto* a, auto* b) { return std::strcmp(a->name, b->name) < 0; });
  return list;
}

const ModelEntry& find_model(std::string_view name) {
  std::vector<std::string> names;
  for (const ModelEntry* m : all_models()) {
    if (m->name == name) return *m;
    names.emplace_back(m->name);
  }
  if (const std::string nearest = nearest_name(name, names); !nearest.empty())
    fail(Error::Kind::usage, {"there is no model '", name, "'; did you mean ", nearest, "?"});
  fail(Error::Kind::usage,
       {"there is no model '", name,
        "'; `nacre zoo list` shows them, a plug-in brings others (--plugin FILE)"});
}

std::unique_ptr<Module> make_model(std::string_view name, std::string_view options,
                                   const Scope& scope) {
  const ModelEntry& entry = find_model(name);
  OptionValues config(entry.config);
  Options visitor("model", entry.name, entry.options, options);
  const std::string deform = read(visitor, config);
  if (deform.empty()) return entry.make(scope, config.value);
  const MakeDeformable make(deform);
  auto net = entry.make(scope, config.value);
  if (make.count() == 0)
    fail(Error::Kind::usage, {"option deform=", deform, " fits no convolution of ", name,
                              " that has one group and a square kernel larger than 1"});
  return net;
}

FittedModel fit_model(std::string_view name, std::string_view options, const FitData& data,
                      const FitData* held_out) {
  const ModelEntry& entry = find_model(name);
  if (!entry.fit)
    fail(Error::Kind::usage, {"model ", name, " is trained by steps and cannot be fitted at once"});
  check_rows(data, entry);
  if (held_out) check_rows(*held_out, entry);
  std::string all(options);
  const std::string possible = model_options(name, options);
  const auto set = [&](const std::string& option, const std::string& value) {
    if ((" " + possible).find(" " + option + "=") != std::string::npos)
      all += " " + option + "=" + value;
  };
  set("in", std::to_string(data.columns));
  set("classes", std::to_string(data.outputs));
  set("values", data.values() ? "true" : "false");
  OptionValues config(entry.config);
  Options visitor("model", entry.name, entry.options, all);
  read(visitor, config);
  Fitted fitted = entry.fit(data, held_out, config.value);
  FittedModel m{model_options(name, all + " " + fitted.options), nullptr,
                Scope::load([&](const std::string& path, const Shape&, DType) {
                  for (const auto& [variable, value] : fitted.values)
                    if (variable == path) return value;
                  return Tensor();
                })};
  m.net = make_model(name, m.options, m.scope);
  return m;
}

std::unique_ptr<Module> rescaled(const Scope& scope, std::unique_ptr<Module> net,
                                 const Tensor& mean, const Tensor& std) {
  if (mean.rank() != 1 || mean.shape() != std.shape())
    fail(Error::Kind::data, {"mean and std of the outputs have the shapes ", mean.shape(), " and ",
                             std.shape(), ", expected one number for each output"});
  return std::make_unique<Rescaled>(scope, std::move(net), mean, std);
}

Tensor output_std(const Module& net) { return net.state()->find("output_std").value(); }

std::string model_options(std::string_view name, std::string_view options) {
  const ModelEntry& entry = find_model(name);
  OptionValues config(entry.config);
  Options visitor("model", entry.name, entry.options, options);
  read(visitor, config);
  return visitor.text();
}

Shape model_input(std::string_view name, std::string_view options) {
  Shape input = find_model(name).input;
  std::stringstream all(model_options(name, options));
  for (std::string item; all >> item;) {
    const auto value = [&](const char* option, int64_t& size) {
      const std::string_view text = item, start = option;
      if (text.starts_with(start))
        std::from_chars(item.data() + start.size(), item.data() + item.size(), size);
    };
    if (input.rank() == 1) value("in=", input[0]);
    if (input.rank() != 3) continue;
    value("channels=", input[0]);
    for (const int64_t d : {1, 2}) value("side=", input[d]);
  }
  return input;
}

int64_t count_macs(Module& net, const Shape& input) {
  int64_t macs = 0;
  const Tensor y = probe(net, input, nullptr);
  for (const Node* n : topological(std::span(&y, 1)))
    if (!n->evaluated) macs += macs_of(*n);
  return macs;
}

std::vector<LayerInfo> list_layers(Module& net, const Shape& input) {
  std::vector<LayerInfo> list;
  probe(net, input, [&](const std::string& path, const Tensor& y) {
    LayerInfo info{path, y.shape(), 0};
    for (const Variable& v : net.parameters()) {
      const auto dot = v.name().rfind('.');
      if (dot != std::string::npos && v.name().substr(0, dot) == path)
        info.parameters += v.value().numel();
    }
    if (!path.empty()) list.push_back(std::move(info));
  });
  return list;
}

}  // namespace nacre
