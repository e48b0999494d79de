#include "nacre/zoo.h"

namespace nacre {
namespace {

struct LogisticRegression : Module {
  struct Config {
    int64_t in = 784, classes = 10;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
    }
  };
  LogisticRegression(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.in, c.classes, true, init::zeros()}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return fc(flatten(x, 1), ctx); }
  Linear fc;
};

}  // namespace

MODEL(logistic_regression) = {
    .name = "logistic_regression",
    .summary = "Class scores that are linear in the input; trained by cross-entropy.",
    .paper = "Cox, The regression analysis of binary sequences, 1958",
    .config = attr_type<LogisticRegression::Config>(),
    .make = construct<LogisticRegression>,
    .input = {784},
    .parameters = 7850,
    .macs = 7840,
    .tiny = "in=64",
    .tiny_input = {64},
};

}  // namespace nacre
