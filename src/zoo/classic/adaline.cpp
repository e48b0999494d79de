#include "nacre/zoo.h"

namespace nacre {
namespace {

/// One linear unit for each output. For classes, each unit learns to give 1 for its class and -1
/// for the others; for values, the value.
struct Adaline : Module {
  struct Config {
    int64_t in = 784, classes = 10;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
    }
  };
  Adaline(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.in, c.classes, true, init::zeros()}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return fc(flatten(x, 1), ctx); }
  Linear fc;
};

}  // namespace

MODEL(adaline) = {
    .name = "adaline",
    .summary = "Adaptive linear units, trained on their squared error (least mean squares).",
    .paper = "Widrow and Hoff, Adaptive switching circuits, 1960",
    .config = attr_type<Adaline::Config>(),
    .make = construct<Adaline>,
    .input = {784},
    .parameters = 7850,
    .macs = 7840,
    .tiny = "in=64",
    .tiny_input = {64},
    .settings = "loss=mse optimizer=sgd lr=0.01 schedule=constant weight_decay=0",
};

}  // namespace nacre
