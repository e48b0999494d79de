#include "nacre/compose.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

constexpr size_t kMaxText = size_t{1} << 20;
constexpr int kMaxDepth = 32, kMaxLayers = 10000;

struct Parameter {
  const char* name;
  double preset;  ///< NaN: has to be given
  double low, high;
};
constexpr double kNeeded = NAN, kMost = 1 << 24;

/// The values of a layer's parameters, and what comes in.
struct LayerArgs {
  std::vector<double> values;
  Tensor x;
  int64_t operator[](size_t k) const { return static_cast<int64_t>(values[k]); }
  int64_t channels() const { return x.rank() > 1 ? x.size(1) : 0; }
  int64_t last() const { return x.size(-1); }
};

using Add = void (*)(Sequential&, const LayerArgs&);
struct LayerDef {
  const char* name;
  const char* text;
  std::vector<Parameter> parameters;
  Add add;
};

/// Layers without parameters of their own.
template <auto F>
void add_function(Sequential& net, const LayerArgs&) {
  net.add(F);
}

void check_sequences(const char* what, const LayerArgs& a) {
  if (a.x.rank() != 3)
    fail(Error::Kind::shape, {what, " takes sequences, NxTxC, not ", a.x.shape()});
}

template <Recurrent::Cell kCell>
void add_recurrent(Sequential& net, const LayerArgs& a) {
  check_sequences("a recurrent layer", a);
  net.add<Recurrent>(Recurrent::Config{kCell, a.last(), a[0], a[1], a[2] != 0});
}

void add_conv(Sequential& net, const LayerArgs& a) {
  ConvConfig c;
  c.in = a.channels();
  c.out = a[0];
  c.kernel = a[1];
  c.stride = a[2];
  c.padding = a[3] < 0 ? a[1] / 2 : a[3];
  c.groups = a[4];
  c.init = init::he_normal();
  if (a.x.rank() == 3)
    net.add<Conv1d>(c);
  else
    net.add<Conv2d>(c);
}

void add_pool(Sequential& net, const LayerArgs& a, bool largest) {
  const int64_t size = a[0], stride = a[1] ? a[1] : a[0];
  net.add([=](const Tensor& x) {
    return largest ? max_pool2d(x, size, {.stride = stride})[0]
                   : avg_pool2d(x, size, {.stride = stride});
  });
}

Tensor mean_of_places(const Tensor& x) {
  Ints places;
  for (int64_t d = 2; d < x.rank(); ++d) places.push_back(d);
  return mean(x, places);
}

const std::vector<LayerDef>& layers() {
  const Parameter size = {"size", kNeeded, 1, kMost}, flag = {"bidirectional", 0, 0, 1};
  const std::vector<Parameter> cells = {size, {"layers", 1, 1, 100}, flag};
  const std::vector<Parameter> pool = {{"size", kNeeded, 1, 4096}, {"stride", 0, 0, 4096}};
  static const std::vector<LayerDef> all = {
      {"embedding",
       "rows of a table by index",
       {{"count", kNeeded, 1, 1e9}, size},
       [](Sequential& net, const LayerArgs& a) {
         net.add<Embedding>(Embedding::Config{a[0], a[1]});
       }},
      {"lstm", "long short-term memory over NxTxC", cells, add_recurrent<Recurrent::Cell::lstm>},
      {"gru", "gated recurrent units over NxTxC", cells, add_recurrent<Recurrent::Cell::gru>},
      {"rnn", "plain recurrent units over NxTxC", cells, add_recurrent<Recurrent::Cell::rnn>},
      {"linear",
       "full connections of the last dimension",
       {{"out", kNeeded, 1, kMost}, {"bias", 1, 0, 1}},
       [](Sequential& net, const LayerArgs& a) {
         net.add<Linear>(Linear::Config{a.last(), a[0], a[1] != 0});
       }},
      {"conv",
       "convolution over NxCxT or NxCxHxW; padding -1 keeps the size at stride 1 and odd kernels",
       {{"out", kNeeded, 1, kMost},
        {"kernel", 3, 1, 4096},
        {"stride", 1, 1, 4096},
        {"padding", -1, -1, 4096},
        {"groups", 1, 1, kMost}},
       add_conv},
      {"batch_norm",
       "batch normalisation of channels",
       {},
       [](Sequential& net, const LayerArgs& a) {
         net.add<BatchNorm>(BatchNorm::Config{a.channels()});
       }},
      {"layer_norm",
       "layer normalisation of the last dimension",
       {},
       [](Sequential& net, const LayerArgs& a) {
         net.add<LayerNorm>(LayerNorm::Config{{a.last()}});
       }},
      {"dropout",
       "dropout in training",
       {{"p", 0.5, 0, 0.999}},
       [](Sequential& net, const LayerArgs& a) { net.add<Dropout>(a.values[0]); }},
      {"max_pool", "the largest of squares; stride 0 is the size", pool,
       [](Sequential& net, const LayerArgs& a) { add_pool(net, a, true); }},
      {"avg_pool", "the mean of squares; stride 0 is the size", pool,
       [](Sequential& net, const LayerArgs& a) { add_pool(net, a, false); }},
      {"mean", "over places: NxCx... to NxC", {}, add_function<mean_of_places>},
      {"last",
       "the last step of a sequence: NxTxC to NxC",
       {},
       [](Sequential& net, const LayerArgs& a) {
         check_sequences("last", a);
         net.add([](const Tensor& x) { return select(x, 1, x.size(1) - 1); });
       }},
      {"flatten",
       "Nx... to one row a sample",
       {},
       add_function<[](const Tensor& x) { return flatten(x, 1); }>},
      {"relu", "max(x, 0)", {}, add_function<[](const Tensor& x) { return relu(x); }>},
      {"gelu",
       "x times the normal distribution function",
       {},
       add_function<[](const Tensor& x) { return gelu(x); }>},
      {"silu", "x times its sigmoid", {}, add_function<[](const Tensor& x) { return silu(x); }>},
      {"tanh", "", {}, add_function<[](const Tensor& x) { return tanh(x); }>},
      {"sigmoid", "", {}, add_function<[](const Tensor& x) { return sigmoid(x); }>},
  };
  return all;
}

std::string usage_of(const LayerDef& def) {
  std::string text = def.name, list;
  for (const Parameter& p : def.parameters) {
    list += cat({list.empty() ? "" : ", ", p.name});
    if (p.preset == p.preset) list += cat({"=", p.preset});
  }
  return list.empty() ? text : text + "(" + list + ")";
}

/// Layers in brackets, whose input may be added to their output.
struct Nested : Module {
  Nested(const Scope& s, std::unique_ptr<Module> inner, bool residual)
      : Module(s), inner(std::move(inner)), residual(residual) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = (*inner)(x, ctx);
    return residual ? x + y : y;
  }
  std::unique_ptr<Module> inner;
  bool residual;
};

class Composer {
 public:
  explicit Composer(std::string_view text) : text_(text) {}

  /// The layers up to the end or a closing bracket; x becomes what comes out.
  std::unique_ptr<Sequential> network(const Scope& scope, Tensor& x, int depth) {
    if (depth > kMaxDepth) wrong(cat({"brackets are at most ", kMaxDepth, " deep"}));
    auto net = std::make_unique<Sequential>(scope);
    do layer(*net, scope, x, depth);
    while (take('|'));
    return net;
  }
  bool at_end() {
    blanks();
    return at_ == text_.size();
  }
  [[noreturn]] void wrong(std::string_view what) const {
    fail(Error::Kind::usage, {"[compose] ", what, " at '", text_.substr(at_, 30), "'"});
  }

 private:
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t'))
      ++at_;
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view word() {
    blanks();
    const size_t from = at_;
    while (at_ < text_.size() && ((text_[at_] >= 'a' && text_[at_] <= 'z') || text_[at_] == '_'))
      ++at_;
    return text_.substr(from, at_ - from);
  }
  bool number(double& v) {
    blanks();
    const auto end = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
    if (end.ec != std::errc() || !std::isfinite(v)) return false;
    at_ = static_cast<size_t>(end.ptr - text_.data());
    return true;
  }

  void layer(Sequential& net, const Scope& scope, Tensor& x, int depth) {
    if (++count_ > kMaxLayers) wrong(cat({"a network has at most ", kMaxLayers, " layers"}));
    const Scope here = scope / std::to_string(net.size());
    double times = 0;
    if (number(times)) {
      if (!(times >= 1 && times <= 1000 && times == std::floor(times)) || !take('*') || !take('('))
        wrong("expected a whole number of 1 to 1000, '*' and layers in brackets");
      const size_t from = at_;
      auto stack = std::make_unique<Sequential>(here);
      for (int k = 0; k < static_cast<int>(times); ++k) {
        at_ = from;
        stack->add<Nested>(network(here / std::to_string(k), x, depth + 1), false);
        if (!take(')')) wrong("expected '|' or ')'");
      }
      net.add<Nested>(std::move(stack), false);
      return;
    }
    const size_t from = at_;
    const std::string_view name = word();
    if (name == "residual") {
      if (!take('(')) wrong("expected '(' and layers behind residual");
      const Shape in = x.shape();
      auto inner = network(here, x, depth + 1);
      if (!take(')')) wrong("expected '|' or ')'");
      if (x.shape() != in)
        fail(Error::Kind::shape, {"[compose] layers in residual(...) turn ", in, " into ",
                                  x.shape(), ", which cannot be added to it"});
      net.add<Nested>(std::move(inner), true);
      return;
    }
    const auto def = std::find_if(layers().begin(), layers().end(),
                                  [&](const LayerDef& d) { return name == d.name; });
    if (def == layers().end()) {
      std::string known = "residual";
      for (const LayerDef& d : layers()) known += cat({", ", d.name});
      at_ = from;
      wrong(cat({"expected a layer (", known, ")"}));
    }
    LayerArgs args{std::vector<double>(def->parameters.size(), NAN), x};
    if (take('(')) {
      for (size_t position = 0; !take(')'); ++position) {
        if (position && !take(',')) wrong("expected ',' or ')'");
        argument(*def, args.values, position);
      }
    }
    for (size_t k = 0; k < args.values.size(); ++k) {
      if (args.values[k] == args.values[k]) continue;
      args.values[k] = def->parameters[k].preset;
      if (args.values[k] != args.values[k])
        wrong(cat({def->name, " needs ", def->parameters[k].name, ": ", usage_of(*def)}));
    }
    def->add(net, args);
    Context ctx = Context::eval();
    x = net[net.size() - 1](x, ctx);
  }

  void argument(const LayerDef& def, std::vector<double>& values, size_t k) {
    const size_t from = at_;
    if (const std::string_view name = word(); !name.empty()) {
      for (k = 0; k < values.size() && def.parameters[k].name != name;) ++k;
      if (k == values.size() || !take('=')) {
        at_ = from;
        wrong(cat({"expected a number or name=number of ", usage_of(def)}));
      }
    }
    if (k >= values.size()) wrong(cat({"a number too many for ", usage_of(def)}));
    const Parameter& p = def.parameters[k];
    if (values[k] == values[k]) wrong(cat({p.name, " of ", def.name, " is given twice"}));
    const bool whole = std::string_view(p.name) != "p";
    if (!number(values[k]) || values[k] < p.low || values[k] > p.high ||
        (whole && values[k] != std::floor(values[k])))
      wrong(cat({p.name, " of ", def.name, " is a ", whole ? "whole number" : "number", " from ",
                 format_number(p.low, 10), " to ", format_number(p.high, 10)}));
  }

  std::string_view text_;
  size_t at_ = 0;
  int count_ = 0;
};

}  // namespace

std::unique_ptr<Module> compose(std::string_view text, const Scope& scope, const Shape& input,
                                DType dtype) {
  if (text.size() > kMaxText)
    fail(Error::Kind::usage, {"[compose] a text of ", text.size(), " bytes is too long"});
  Shape shape = input;
  shape.insert(0, 1);
  NoGrad guard;
  Tensor x = zeros(shape, dtype);  // its shape alone is used
  Composer composer(text);
  auto net = composer.network(scope, x, 0);
  if (!composer.at_end()) composer.wrong("expected '|' between layers");
  return net;
}

std::vector<LayerHelp> compose_layers() {
  std::vector<LayerHelp> list;
  for (const LayerDef& d : layers()) list.push_back({usage_of(d), d.text});
  return list;
}

Recurrent::Recurrent(const Scope& s, const Config& c) : Module(s), config_(c) {
  const int64_t gates = c.cell == Cell::lstm ? 4 : c.cell == Cell::gru ? 3 : 1;
  const double bound = 1 / std::sqrt(static_cast<double>(c.size));
  const Init init = init::uniform(-bound, bound);
  for (int64_t layer = 0; layer < c.layers; ++layer)
    for (int64_t direction = 0; direction < 1 + c.bidirectional; ++direction) {
      const std::string end = cat({"_l", layer, direction ? "_reverse" : ""});
      const int64_t in = layer ? c.size * (1 + c.bidirectional) : c.in, rows = gates * c.size;
      weights_.push_back(s.parameter("weight_ih" + end, {rows, in}, init));
      weights_.push_back(s.parameter("weight_hh" + end, {rows, c.size}, init));
      weights_.push_back(s.parameter("bias_ih" + end, {rows}, init));
      weights_.push_back(s.parameter("bias_hh" + end, {rows}, init));
    }
}

Tensor Recurrent::forward(const Tensor& x, Context&) {
  const RnnOptions options = {.layers = config_.layers, .bidirectional = config_.bidirectional};
  const Tensor steps = permute(x, {1, 0, 2});
  const Tensors weights = values(weights_);
  const Tensor y = config_.cell == Cell::lstm  ? lstm(steps, weights, options)[0]
                   : config_.cell == Cell::gru ? gru(steps, weights, options)[0]
                                               : rnn(steps, weights, options)[0];
  return permute(y, {1, 0, 2});
}

}  // namespace nacre
