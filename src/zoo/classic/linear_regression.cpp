#include "nacre/zoo.h"

namespace nacre {
namespace {

struct LinearRegression : Module {
  struct Config {
    int64_t in = 1, out = 1;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("out", out);
    }
  };
  LinearRegression(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.in, c.out, true, init::zeros()}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return fc(flatten(x, 1), ctx); }
  Linear fc;
};

}  // namespace

MODEL(linear_regression) = {
    .name = "linear_regression",
    .summary = "y = W x + b, for values.",
    .paper = "Legendre 1805, Gauss 1809",
    .config = attr_type<LinearRegression::Config>(),
    .make = construct<LinearRegression>,
    .input = {1},
    .parameters = 2,
    .macs = 1,
    .tiny = "in=8 out=1",
    .tiny_input = {8},
    .regression = true,
    .settings = "lr=0.05",
};

}  // namespace nacre
