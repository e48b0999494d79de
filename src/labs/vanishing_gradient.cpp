#include <algorithm>
#include <cmath>
#include <memory>

#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "labs/lab.h"
#include "nacre/autograd.h"
#include "nacre/blocks.h"

namespace nacre {
namespace {

struct VanishingConfig {
  int64_t depth = 30, width = 64;  ///< of hidden layers
  int64_t side = 8, samples = 0, epochs = 3, batch = 64, seed = 0;
  double lr = 0.02;
  void fields(FieldVisitor& v) {
    v("depth", depth);
    v("width", width);
    v("side", side);
    v("samples", samples);
    v("epochs", epochs);
    v("batch", batch);
    v("lr", lr);
    v("seed", seed);
  }
};

struct Kind {
  const char *activation, *init, *form;  ///< form: plain, batch norm, residual
  std::string text() const { return cat({activation, ", ", init, ", ", form}); }
};

Activation activation_of(std::string_view name) {
  return name == "sigmoid" ? Activation([](In x) { return sigmoid(x); })
         : name == "tanh"  ? Activation([](In x) { return tanh(x); })
         : name == "selu"  ? Activation([](In x) { return selu(x); })
                           : Activation([](In x) { return relu(x); });
}

Init init_of(std::string_view name) {
  return name == "normal 0.01"  ? init::normal(0, 0.01)
         : name == "Xavier"     ? init::xavier_normal()
         : name == "orthogonal" ? init::orthogonal()
                                : init::he_normal();
}

/// Full layers of equal width, one after the other.
struct Deep : Module {
  Deep(const Scope& s, const VanishingConfig& c, const Kind& k, int64_t in, int64_t classes)
      : Module(s),
        act(activation_of(k.activation)),
        residual(std::string_view(k.form) == "residual"),
        stem(s / "stem", {in, c.width, true, init_of(k.init)}),
        head(s / "head", {c.width, classes}) {
    const bool normed = std::string_view(k.form) != "plain";
    for (int64_t i = 0; i < c.depth; ++i) {
      hidden.push_back(std::make_unique<Linear>(
          s / "hidden" / i, Linear::Config{c.width, c.width, true, init_of(k.init)}));
      if (normed)
        norms.push_back(std::make_unique<BatchNorm>(s / "norm" / i, BatchNorm::Config{c.width}));
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor h = act(stem(flatten(x, 1), ctx));
    for (size_t i = 0; i < hidden.size(); ++i) {
      Tensor y = (*hidden[i])(h, ctx);
      if (!norms.empty()) y = (*norms[i])(y, ctx);
      y = act(y);
      h = residual ? h + y : y;
    }
    return head(h, ctx);
  }
  Activation act;
  bool residual;
  Linear stem, head;
  std::vector<std::unique_ptr<Linear>> hidden;
  std::vector<std::unique_ptr<BatchNorm>> norms;
};

/// Norms of the gradients of the hidden layers' weights, from the input up, on one batch.
std::vector<double> gradient_norms(Deep& net, const LabData& data, int64_t batch) {
  DataLoader loader(data.train, data.transform, sequential(data.train->size()),
                    {.batch = batch, .workers = 0});
  loader.start(0);
  const auto b = loader.next();
  Context ctx = Context::train(Key(0));  // its changes of running statistics are not committed
  const Tensor loss =
      cross_entropy(net(Tensor::from(b->x, b->shape), ctx), Tensor::from(b->labels, {b->size()}));
  Tensors weights, norms;
  for (const auto& layer : net.hidden) weights.push_back(layer->weight.value());
  // In double: the squares of small floats would be 0.
  for (const Tensor& g : grad(loss, weights))
    norms.push_back(sqrt(sum(square(cast(g, DType::f64)))));
  eval(norms);
  std::vector<double> list;
  for (const Tensor& n : norms) list.push_back(n.item());
  return list;
}

LabResult run_vanishing_gradient(const std::string& path, const void* config) {
  const VanishingConfig& c = *static_cast<const VanishingConfig*>(config);
  const LabData data = lab_pictures(path, c.side, c.samples, static_cast<uint64_t>(c.seed));
  std::vector<Kind> kinds;
  for (const char* form : {"plain", "batch norm"})
    for (const char* activation : {"sigmoid", "tanh", "relu", "selu"})
      for (const char* init : {"normal 0.01", "Xavier", "He", "orthogonal"})
        kinds.push_back({activation, init, form});
  for (const char* activation : {"sigmoid", "tanh", "relu", "selu"})
    kinds.push_back({activation, "Xavier", "residual"});
  LabResult r;
  RunReport::Table table{
      cat({"Gradients of ", c.depth, " hidden layers before training, and training after"}),
      "The norm of the gradient of the weights of the first hidden layer and of the last, and the "
      "last over the first. Residual layers are normalised too.",
      {"activation", "start", "form", "first layer", "last layer", "last / first", "loss",
       "training error"},
      {}};
  std::vector<std::pair<std::string, Chart>> charts;
  for (const Kind& k : kinds) {
    check_stop();
    Deep net(Scope::init(Key(static_cast<uint64_t>(c.seed)).fold_in(k.text())), c, k,
             data.input.numel(), data.classes);
    const std::vector<double> norms = gradient_norms(net, data, c.batch);
    const double ratio = norms.back() / std::max(norms.front(), 1e-300);
    LabCurve curve;
    if (c.epochs > 0)
      curve = train_in_lab(k.text(), net, data,
                           {.epochs = c.epochs,
                            .batch = c.batch,
                            .lr = c.lr,
                            .clip_norm = 1,
                            .schedule = "constant",
                            .seed = static_cast<uint64_t>(c.seed)});
    std::vector<double> logs;
    for (const double n : norms) logs.push_back(n > 0 ? std::log10(n) : std::nan(""));
    // Plain networks have a chart for each activation, the others one for all.
    const bool plain = std::string_view(k.form) == "plain",
               shown = plain || std::string_view(k.form) == "residual" ||
                       std::string_view(k.init) == "He";
    const std::string title = plain ? cat({k.activation, ", plain"}) : k.form;
    if (shown) {
      auto at = std::find_if(charts.begin(), charts.end(),
                             [&](const auto& chart) { return chart.first == title; });
      if (at == charts.end())
        at = charts.insert(
            at, {title, {cat({"Gradients: ", title}), "hidden layer", "log10 of the norm", {}}});
      at->second.series.push_back({plain ? k.init : k.activation, counted(logs), logs});
    }
    const auto last = [](const std::vector<double>& v) {
      return v.empty() ? std::nan("") : v.back();
    };
    table.rows.push_back({k.activation, k.init, k.form, format_number(norms.front(), 2),
                          format_number(norms.back(), 2),
                          norms.front() > 0 ? format_number(ratio, 2) : "the first is 0",
                          format_number(last(curve.loss), 3), per_cent(last(curve.train_error))});
    r.numbers.emplace_back(k.text() + " ratio", ratio);
    r.numbers.emplace_back(k.text() + " training error", last(curve.train_error));
  }
  const auto of = [&](const std::string& name) {
    for (const auto& [n, value] : r.numbers)
      if (n == name + " ratio") return format_number(value, 2);
    return std::string();
  };
  r.finding = cat({"Norm of the gradient of the last of ", c.depth,
                   " layers over that of the first: sigmoids ", of("sigmoid, Xavier, plain"),
                   ", with batch normalisation ", of("sigmoid, He, batch norm"),
                   ", with ways around the layers ", of("sigmoid, Xavier, residual"),
                   "; ReLU with the start of He ", of("relu, He, plain")});
  for (auto& [title, chart] : charts) r.charts.push_back(std::move(chart));
  r.tables = {table};
  return r;
}

}  // namespace

LAB(vanishing_gradient) = {
    .name = "vanishing-gradient",
    .summary = "How gradients shrink with depth, by activation, initialisation and normalisation.",
    .reading =
        "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural "
        "networks, 2010; He et al., Delving deep into rectifiers, 2015; Ioffe and Szegedy, Batch "
        "normalization, 2015",
    .config = attr_type<VanishingConfig>(),
    .run = run_vanishing_gradient,
    .ranges = {{"depth", 2, 1000}, {"width", 2, 4096}, {"epochs", 0, 1e6}},
};

}  // namespace nacre
