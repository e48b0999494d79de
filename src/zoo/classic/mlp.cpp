#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Full layers with ReLU between them.
struct Mlp : Module {
  struct Config {
    int64_t in = 784, classes = 10;
    Ints hidden = {256};  ///< sizes of hidden layers; as text "256-128"
    double dropout = 0;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("hidden", hidden);
      v("dropout", dropout);
    }
  };
  Mlp(const Scope& s, const Config& c) : Module(s), layers_(s / "layers") {
    int64_t in = c.in;
    for (int64_t size : c.hidden) {
      layers_.add<Linear>(Linear::Config{in, size, true, init::he_normal()});
      layers_.add([](const Tensor& x) { return relu(x); });
      if (c.dropout > 0) layers_.add<Dropout>(c.dropout);
      in = size;
    }
    layers_.add<Linear>(Linear::Config{in, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override { return layers_(flatten(x, 1), ctx); }

 private:
  Sequential layers_;
};

}  // namespace

MODEL(mlp) = {
    .name = "mlp",
    .summary = "A multi-layer perceptron: full layers with ReLU between them.",
    .paper =
        "Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986",
    .config = attr_type<Mlp::Config>(),
    .make = construct<Mlp>,
    .input = {784},
    .parameters = 203530,
    .macs = 203264,
    .tiny = "in=64 hidden=32",
    .tiny_input = {64},
};

}  // namespace nacre
