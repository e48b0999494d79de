#include "base/signals.h"
#include "nacre/error.h"
#include "nacre/optim.h"
#include "nacre/tabular.h"
#include "zoo/tabular/separate.h"

namespace nacre {
namespace {

/// Scores that are linear in a row, for classes and for values.
struct LinearFit : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;            ///< to predict, not classes
    std::string loss = "logistic";  ///< of classes; or hinge
    double c = 1;                   ///< the larger, the smaller the penalty on weights
    int64_t iterations = 200;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("loss", loss);
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
Fitted fit_linear(const FitData& data, const FitData*, const void* config) {
  const auto& c = *static_cast<const LinearFit::Config*>(config);
  if (!(c.c > 0) || c.iterations < 1)
    fail(Error::Kind::usage, {"options c and iterations of linear should be above 0, got ", c.c,
                              " and ", c.iterations});
  if (c.loss != "logistic" && (c.loss != "hinge" || data.values()))
    fail(Error::Kind::usage, {"option loss of linear should be logistic or, for classes, hinge, "
                              "got '",
                              c.loss, "'"});
  if (c.loss == "hinge") {
    const Separators found = separate(data, c.c, c.iterations);
    return {"",
            {{"fc.weight", Tensor::from(found.weight, {data.outputs, data.columns})},
             {"fc.bias", Tensor::from(found.bias, {data.outputs})}}};
  }
  // Rounding of f32 ends the search early; large tables would need too much memory for more.
  const DType type = data.rows * data.columns <= int64_t{1} << 23 ? DType::f64 : DType::f32;
  LinearFit net(Scope::init(Key(data.seed), type), c);
  const Tensor x = cast(Tensor::from(data.x, {data.rows, data.columns}), type);
  const Tensor labels = data.values() ? Tensor() : Tensor::from(data.labels, {data.rows}),
               targets = data.values()
                             ? cast(Tensor::from(data.targets, {data.rows, data.outputs}), type)
                             : Tensor();
  const Tensor weights = data.weights.empty() ? ones({data.rows}, type)
                                              : cast(Tensor::from(data.weights, {data.rows}), type);
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
  return {"",
          {{"fc.weight", cast(net.fc.weight.value(), DType::f32)},
           {"fc.bias", cast(net.fc.bias.value(), DType::f32)}}};
}

}  // namespace

MODEL(linear) = {
    .name = "linear",
    .summary = "Logistic regression or support vectors for classes, ridge regression of values.",
    .paper =
        "Cox, The regression analysis of binary sequences, 1958; Hoerl and Kennard, Ridge "
        "regression, 1970; Hsieh et al., A dual coordinate descent method for large-scale linear "
        "SVM, 2008 (loss=hinge)",
    .config = attr_type<LinearFit::Config>(),
    .make = construct<LinearFit>,
    .input = {1},
    .fit = fit_linear,
};

}  // namespace nacre
