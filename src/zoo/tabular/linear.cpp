#include "base/signals.h"
#include "nacre/error.h"
#include "nacre/optim.h"
#include "nacre/tabular.h"

namespace nacre {
namespace {

/// Scores that are linear in a row, for classes and for values.
struct LinearFit : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;  ///< to predict, not classes
    double c = 1;         ///< the larger, the smaller the penalty on weights
    int64_t iterations = 200;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("c", c);
      v("iterations", iterations);
    }
  };
  LinearFit(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.in, c.classes, true, init::zeros()}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return fc(flatten(x, 1), ctx); }
  Linear fc;
};

/// Logistic regression: the mean loss of rows + |W|^2 / (2 c rows). Ridge regression: the same with
/// half the squared error. Minimised in full, so the result depends on no learning rate.
Fitted fit(const FitData& data, const FitData*, const void* config) {
  const auto& c = *static_cast<const LinearFit::Config*>(config);
  if (!(c.c > 0) || c.iterations < 1)
    fail(Error::Kind::usage, {"options c and iterations of linear should be above 0, got ", c.c,
                              " and ", c.iterations});
  LinearFit net(Scope::init(Key(data.seed)), c);
  const Tensor x = Tensor::from(data.x, {data.rows, data.columns});
  const Tensor labels = data.values() ? Tensor() : Tensor::from(data.labels, {data.rows}),
               targets = data.values() ? Tensor::from(data.targets, {data.rows, data.outputs})
                                       : Tensor();
  const Tensor weights = Tensor::from(
      data.weights.empty() ? std::vector<float>(static_cast<size_t>(data.rows), 1.0f)
                           : data.weights,
      {data.rows});
  const auto rows = static_cast<double>(data.rows);
  const auto loss = [&] {
    check_stop();
    Context ctx = Context::eval();
    const Tensor y = net(x, ctx);
    const Tensor each = data.values()
                            ? 0.5 * sum(square(y - targets), {1})
                            : cross_entropy(y, labels, Tensor(), 0, -100, Reduction::none);
    return sum(each * weights) / rows + sum(square(net.fc.weight.value())) / (2 * c.c * rows);
  };
  LBFGS::Options options;
  options.max_iterations = static_cast<int>(std::min<int64_t>(c.iterations, 100000));
  options.tolerance_gradient = 1e-6;
  LBFGS(net.parameters(), options).step(loss);
  return {"", {{"fc.weight", net.fc.weight.value()}, {"fc.bias", net.fc.bias.value()}}};
}

}  // namespace

MODEL(linear) = {
    .name = "linear",
    .summary = "Logistic regression of classes or ridge regression of values, minimised in full.",
    .paper =
        "Cox, The regression analysis of binary sequences, 1958; Hoerl and Kennard, Ridge "
        "regression, 1970",
    .config = attr_type<LinearFit::Config>(),
    .make = construct<LinearFit>,
    .input = {1},
    .fit = fit,
};

}  // namespace nacre
