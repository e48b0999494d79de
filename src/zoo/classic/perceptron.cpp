#include "nacre/zoo.h"

namespace nacre {
namespace {

/// One threshold unit for each class. forward gives their net inputs w x + b: a unit fires where
/// its net input is positive, and the class is that of the largest.
struct Perceptron : Module {
  struct Config {
    int64_t in = 784, classes = 10;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
    }
  };
  Perceptron(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.in, c.classes, true, init::zeros()}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return fc(flatten(x, 1), ctx); }
  Linear fc;
};

}  // namespace

// From zero weights the rule gives the same decisions whatever the rate is.
MODEL(perceptron) = {
    .name = "perceptron",
    .summary = "Threshold units that learn from their mistakes alone, by the perceptron rule.",
    .paper =
        "Rosenblatt, The perceptron: a probabilistic model for information storage and "
        "organization in the brain, 1958",
    .config = attr_type<Perceptron::Config>(),
    .make = construct<Perceptron>,
    .input = {784},
    .parameters = 7850,
    .macs = 7840,
    .tiny = "in=64",
    .tiny_input = {64},
    .settings = "loss=perceptron optimizer=sgd lr=1 schedule=constant weight_decay=0",
};

}  // namespace nacre
