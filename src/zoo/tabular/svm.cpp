// The only file that includes LIBSVM.
#include <libsvm/svm.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <mutex>

#include "base/signals.h"
#include "nacre/error.h"
#include "nacre/tabular.h"

namespace nacre {
namespace {

constexpr int64_t kMostClasses = 200;

/// A machine for each pair of classes; from their probabilities those of the classes.
struct Svm : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;         ///< to predict, not classes
    std::string kernel = "rbf";  ///< or linear
    double c = 1;                ///< the larger, the more a mistake costs
    double gamma = 0;            ///< of exp(-gamma d^2); 0: 1 / (columns * variance)
    double epsilon = 0.1;        ///< of values: errors that cost nothing, in standard deviations
    int64_t vectors = 1;
    int64_t machines() const { return values || classes < 2 ? 1 : classes * (classes - 1) / 2; }
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("kernel", kernel);
      v("c", c);
      v("gamma", gamma);
      v("epsilon", epsilon);
      v("vectors", vectors);
    }
  };
  Svm(const Scope& s, const Config& c) : Module(s), config(c) {
    if (c.kernel != "rbf" && c.kernel != "linear")
      fail(Error::Kind::usage, {"option kernel should be rbf or linear, got '", c.kernel, "'"});
    if (c.classes > kMostClasses)
      fail(Error::Kind::usage,
           {"svm takes at most ", kMostClasses, " classes, these are ", c.classes});
    if (c.vectors < 1 || c.vectors > int64_t{1} << 31)
      fail(Error::Kind::usage, {"option vectors should be from 1 to 2147483648, got ", c.vectors});
    const int64_t m = c.machines();
    if (c.kernel == "rbf") {
      vectors = s.buffer("vectors", {c.vectors, c.in}, init::zeros());
      weight = s.parameter("weight", {m, c.vectors}, init::zeros());
    } else {
      weight = s.parameter("weight", {m, c.in}, init::zeros());
    }
    bias = s.parameter("bias", {m}, init::zeros());
    if (c.values) return;
    slope = s.buffer("slope", {m}, init::zeros());
    offset = s.buffer("offset", {m}, init::zeros());
    first = s.buffer("first", {m, c.classes}, init::zeros());
    second = s.buffer("second", {m, c.classes}, init::zeros());
    others = s.buffer("others", {c.classes}, init::constant(-1));
  }

  /// What each machine says: [n, machines].
  Tensor decisions(const Tensor& x) const {
    Tensor k = x;
    if (config.kernel == "rbf") {
      const Tensor v = vectors.value();
      const Tensor d =
          sum(square(x), {1}, true) + sum(square(v), {1}) - 2.0 * matmul(x, transpose(v, 0, 1));
      k = exp(clip(d, 0) * -config.gamma);
    }
    return matmul(k, transpose(weight.value(), 0, 1)) + bias.value();
  }

  Tensor forward(const Tensor& x, Context&) override {
    const Tensor d = decisions(flatten(x, 1));
    if (config.values) return d;
    // Platt 1999; then p_i = 1 / (sum of 1 / r_ij - (classes - 2)), Price et al. 1994.
    const Tensor r = clip(sigmoid(neg(d * slope.value() + offset.value())), 1e-6, 1 - 1e-6);
    const Tensor p = reciprocal(matmul(reciprocal(r), first.value()) +
                                matmul(reciprocal(1.0 - r), second.value()) - others.value());
    return log(p / sum(p, {1}, true));
  }
  Config config;
  Variable vectors, weight, bias, slope, offset, first, second, others;
};

/// LIBSVM writes dots while it works: the place to look whether to stop.
void at_work(const char*) { check_stop(); }

/// Rows as LIBSVM wants them: columns that are not 0.
struct Problem {
  std::vector<std::vector<svm_node>> rows;
  std::vector<svm_node*> places;
  std::vector<double> y;
  svm_problem problem{};
  explicit Problem(const FitData& d) {
    const auto columns = static_cast<size_t>(d.columns);
    rows.resize(static_cast<size_t>(d.rows));
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t c = 0; c < columns; ++c)
        if (const float v = d.x[r * columns + c]; v != 0)
          rows[r].push_back({static_cast<int>(c) + 1, v});
      rows[r].push_back({-1, 0});
      places.push_back(rows[r].data());
      y.push_back(d.values() ? d.targets[r] : static_cast<double>(d.labels[r]));
    }
    problem.l = static_cast<int>(d.rows);
    problem.x = places.data();
    problem.y = y.data();
  }
};

double variance(const std::vector<float>& x) {
  double mean = 0, square = 0;
  for (const float v : x) mean += v;
  mean /= static_cast<double>(x.size());
  for (const float v : x) square += (v - mean) * (v - mean);
  return square / static_cast<double>(x.size());
}

using ModelPtr = std::unique_ptr<svm_model, void (*)(svm_model*)>;

ModelPtr train(const FitData& data, const Problem& problem, const Svm::Config& c, double gamma) {
  svm_parameter p{};
  p.svm_type = data.values() ? EPSILON_SVR : C_SVC;
  p.kernel_type = c.kernel == "rbf" ? RBF : LINEAR;
  p.gamma = gamma;
  p.cache_size = 200;  // MB
  // A linear kernel on many rows that overlap gets there very slowly.
  p.eps = c.kernel == "linear" && data.rows > 2000 ? 1e-2 : 1e-3;
  p.C = c.c;
  p.p = c.epsilon;
  p.shrinking = 1;
  p.probability = !data.values();
  // It knows weights of classes only: the mean of their rows.
  std::vector<int> labels;
  std::vector<double> weights;
  if (!data.weights.empty() && !data.values()) {
    std::vector<double> sum(static_cast<size_t>(data.outputs), 0.0), n = sum;
    for (size_t i = 0; i < data.labels.size(); ++i) {
      sum[static_cast<size_t>(data.labels[i])] += data.weights[i];
      ++n[static_cast<size_t>(data.labels[i])];
    }
    for (size_t k = 0; k < sum.size(); ++k) {
      if (n[k] == 0) continue;
      labels.push_back(static_cast<int>(k));
      weights.push_back(sum[k] / n[k]);
    }
  }
  p.nr_weight = static_cast<int>(labels.size());
  p.weight_label = labels.data();
  p.weight = weights.data();
  if (const char* wrong = svm_check_parameter(&problem.problem, &p))
    fail(Error::Kind::usage, {"LIBSVM: ", wrong});
  // Its folds are drawn with rand().
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  svm_set_print_string_function(at_work);
  std::srand(static_cast<unsigned>(data.seed + 1));
  return {svm_train(&problem.problem, &p), [](svm_model* m) { svm_free_and_destroy_model(&m); }};
}

/// Adds `coefficient` times a support vector to row `machine` of the weights.
void add_vector(std::vector<double>& weights, const svm_model& m, bool linear, size_t machine,
                size_t vector, double coefficient, size_t width) {
  if (!linear) {
    weights[machine * width + vector] += coefficient;
    return;
  }
  for (const svm_node* n = m.SV[vector]; n->index > 0; ++n)
    weights[machine * width + static_cast<size_t>(n->index) - 1] += coefficient * n->value;
}

Tensor table(const std::vector<double>& v, int64_t rows, int64_t columns) {
  return Tensor::from(std::vector<float>(v.begin(), v.end()), {rows, columns});
}
Tensor list(const std::vector<double>& v) {
  return Tensor::from(std::vector<float>(v.begin(), v.end()), {static_cast<int64_t>(v.size())});
}

Fitted fit_svm(const FitData& data, const FitData*, const void* config) {
  const auto& c = *static_cast<const Svm::Config*>(config);
  if (!(c.c > 0) || !(c.gamma >= 0) || !(c.epsilon >= 0))
    fail(Error::Kind::usage, {"options c of svm should be above 0, gamma and epsilon at least 0, "
                              "got ",
                              c.c, ", ", c.gamma, " and ", c.epsilon});
  if (data.values() && data.outputs != 1)
    fail(Error::Kind::unsupported, {"svm predicts one value, the data have ", data.outputs});
  if (data.rows > 1000000) fail(Error::Kind::unsupported, {"svm takes at most 1000000 rows"});
  const bool linear = c.kernel == "linear";
  const double spread = variance(data.x);
  const double gamma =
      c.gamma > 0 ? c.gamma : 1 / (static_cast<double>(data.columns) * (spread > 0 ? spread : 1));
  const Problem problem(data);
  const ModelPtr model = train(data, problem, c, gamma);
  const svm_model& m = *model;
  const auto support = static_cast<size_t>(m.l);
  const auto machines = static_cast<size_t>(c.machines());
  const size_t width = linear ? static_cast<size_t>(data.columns) : std::max<size_t>(1, support);
  std::vector<double> weight(machines * width, 0.0), bias(machines, 0.0);
  Fitted f;
  if (data.values()) {
    for (size_t v = 0; v < support; ++v)
      add_vector(weight, m, linear, 0, v, m.sv_coef[0][v], width);
    bias[0] = -m.rho[0];
  } else {
    const auto k = static_cast<size_t>(m.nr_class), all = static_cast<size_t>(data.outputs);
    std::vector<double> slope(machines, 0.0), offset(machines, 0.0), first(machines * all, 0.0),
        second(machines * all, 0.0);
    // A class without rows gets next to no probability.
    std::vector<double> others(all, -1e6);
    std::vector<size_t> start(k, 0);
    for (size_t i = 1; i < k; ++i) start[i] = start[i - 1] + static_cast<size_t>(m.nSV[i - 1]);
    for (size_t i = 0, pair = 0; i < k; ++i) {
      others[static_cast<size_t>(m.label[i])] = static_cast<double>(k) - 2;
      for (size_t j = i + 1; j < k; ++j, ++pair) {
        for (size_t v = start[i]; v < start[i] + static_cast<size_t>(m.nSV[i]); ++v)
          add_vector(weight, m, linear, pair, v, m.sv_coef[j - 1][v], width);
        for (size_t v = start[j]; v < start[j] + static_cast<size_t>(m.nSV[j]); ++v)
          add_vector(weight, m, linear, pair, v, m.sv_coef[i][v], width);
        bias[pair] = -m.rho[pair];
        slope[pair] = m.probA[pair];
        offset[pair] = m.probB[pair];
        first[pair * all + static_cast<size_t>(m.label[i])] = 1;
        second[pair * all + static_cast<size_t>(m.label[j])] = 1;
      }
    }
    const auto rows = static_cast<int64_t>(machines);
    f.values = {{"slope", list(slope)},
                {"offset", list(offset)},
                {"first", table(first, rows, data.outputs)},
                {"second", table(second, rows, data.outputs)},
                {"others", list(others)}};
  }
  f.values.emplace_back("weight",
                        table(weight, static_cast<int64_t>(machines), static_cast<int64_t>(width)));
  f.values.emplace_back("bias", list(bias));
  if (linear) return f;
  std::vector<double> vectors(width * static_cast<size_t>(data.columns), 0.0);
  for (size_t v = 0; v < support; ++v)
    for (const svm_node* n = m.SV[v]; n->index > 0; ++n)
      vectors[v * static_cast<size_t>(data.columns) + static_cast<size_t>(n->index) - 1] = n->value;
  f.values.emplace_back("vectors", table(vectors, static_cast<int64_t>(width), data.columns));
  f.options = cat({"vectors=", width, " gamma=", gamma});
  return f;
}

}  // namespace

MODEL(svm) = {
    .name = "svm",
    .summary = "Support vector machines with a Gaussian or a linear kernel, for classes or values.",
    .paper =
        "Cortes and Vapnik, Support-vector networks, 1995; Chang and Lin, LIBSVM, 2011; Platt "
        "1999 (probabilities)",
    .config = attr_type<Svm::Config>(),
    .make = construct<Svm>,
    .input = {1},
    .fit = fit_svm,
};

}  // namespace nacre
