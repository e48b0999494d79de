// Checks of derivatives: central differences in double, second order, forward mode.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "graph/node.h"
#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "ops/mill.h"

namespace nacre::testing {
namespace {

using Inputs = std::vector<Values>;
using Function = std::function<double(const Inputs&)>;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double s = 0;
  for (size_t k = 0; k < a.size(); ++k) s += a[k] * b[k];
  return s;
}

/// Derivative of f along a direction of input i: the five-point rule, whose error is h^4.
double slope(const Function& f, Inputs in, size_t i, const std::vector<double>& direction,
             double h) {
  const std::vector<double> at = in[i].v;
  const auto moved = [&](double t) {
    for (size_t k = 0; k < at.size(); ++k) in[i].v[k] = at[k] + t * direction[k];
    return f(in);
  };
  return (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
}

/// How fine differences can be: steps, largest first, and the relative difference that is allowed.
struct Precision {
  std::vector<double> steps;
  double tolerance;
};
const Precision kFine = {{3e-4, 3e-5, 3e-6}, 1e-6};
const Precision kFineSecond = {{3e-4, 3e-5, 3e-6}, 1e-5};
/// Of functions with values in f32 somewhere (a cast): their rounding over the step is 1e-5.
const Precision kCoarse = {{1.0 / 64}, 1e-3};

/// Compares the gradient of f in input i with central differences: along a random direction, and
/// element by element up to `elements` of them. A difference counts as relative to the largest
/// element of the gradient (and to 1e-3, below which the rounding of f shows).
void compare_slopes(const Function& f, const Inputs& in, size_t i, const std::vector<double>& g,
                    size_t elements, const Precision& precision, double slack,
                    const std::string& at, Key key, Report& report) {
  const double tolerance = precision.tolerance * slack;
  const size_t n = g.size();
  double scale = 1e-3;
  for (double v : g) scale = std::max(scale, std::abs(v));
  Rng rng(key);
  std::vector<std::vector<double>> directions;
  std::vector<size_t> order(n);
  for (size_t k = 0; k < n; ++k) order[k] = k;
  if (n > elements) rng.shuffle(order.begin(), order.end());
  for (size_t k = 0; k < std::min(n, elements); ++k) {
    directions.emplace_back(n, 0.0);
    directions.back()[order[k]] = 1;
  }
  directions.emplace_back(n);
  for (double& v : directions.back()) v = rng.uniform(-1, 1) / std::sqrt(static_cast<double>(n));
  for (const auto& d : directions) {
    const double want = dot(g, d);
    double off = INFINITY, seen = 0;
    // A smaller step where the function bends too much or has a kink nearby.
    for (double h : precision.steps) {
      const double s = slope(f, in, i, d, h);
      const double o = std::abs(s - want) / std::max(scale, std::abs(s));
      if (o < off) off = o, seen = s;
      if (off <= tolerance) break;
    }
    if (off <= tolerance) continue;
    report.fail({at, " gradient of input ", i, " along a direction is ", want,
                 ", central differences give ", seen, " (relative difference ", off, ")"});
    return;
  }
}

/// True if some value between f64 inputs and outputs has fewer bits, so that differences are
/// coarse.
bool narrows(const Tensors& out) {
  for (const Node* n : topological(out)) {
    if (!n->op) continue;
    for (const Output& o : n->outputs)
      if (is_float(o.dtype) && o.dtype != DType::f64) return true;
  }
  return false;
}

/// Ops of which some sample has values of fewer bits than f64 whatever its inputs are: the only
/// ones whose differences may be coarse.
const std::map<std::string, std::string> kNarrow = {
    {"cast", "the result of a cast to f32 is in f32"},
};

/// Ops without a gradient that differences could be compared with.
const std::map<std::string, std::string> kUnchecked = {
    {"combine_rows", "made by a pass, after gradients"},
    {"conv_int8", "made by a pass, after gradients"},
    {"quantize", "integers have no gradient"},
    {"update_rows", "made by a pass, after gradients"},
    {"stop_gradient", "it has none, whatever its values do"},
};

Tensors chosen(const Tensors& t, const std::vector<size_t>& which) {
  Tensors out;
  for (size_t i : which) out.push_back(t[i]);
  return out;
}

/// sum of gradients of the projection times fixed directions u.
Tensor second(const Subject& subject, size_t number, const Tensors& in,
              const std::vector<size_t>& which) {
  const Tensor loss = projection(subject, number, subject.call(subject.samples()[number], in));
  const Tensors g = grad(loss, chosen(in, which));
  Tensor s;
  for (size_t j = 0; j < g.size(); ++j) {
    const Tensor u = Tensor::from(subject.weights(number, 100 + j, g[j].numel()), g[j].shape());
    const Tensor term = sum(g[j] * u);
    s = s.defined() ? s + term : term;
  }
  return s;
}

struct Setup {
  const OpSample& sample;
  Inputs in;
  std::vector<size_t> which;
  std::string at;
  bool usable = false;  ///< has floating inputs and outputs
  bool narrow = false;
};

Setup prepare(const Subject& subject, size_t number) {
  const OpSample& s = subject.samples()[number];
  Setup setup{s, subject.inputs(number, DType::f64), differentiable(s), describe(s, number)};
  if (setup.which.empty()) return setup;
  Run run(Mode::reference);
  const Tensors out = subject.call(s, tensors_of(setup.in));
  setup.narrow = narrows(out);
  setup.usable = projection(subject, number, out).defined();
  return setup;
}

/// The differences to compare with: coarse ones only for the ops of kNarrow.
const Precision& precision(const Subject& subject, const Setup& setup, const Precision& fine,
                           Report& report) {
  if (!setup.narrow) return fine;
  const auto reason = kNarrow.find(subject.def().name);
  if (reason == kNarrow.end())
    report.fail({setup.at, " computes in fewer bits than f64 on f64 inputs"});
  else
    counts().coarse.insert(*reason);
  return kCoarse;
}

/// Gradients in the backend's f64 kernels against those of the reference kernels.
void compare_backends(const Subject& subject, size_t number, const Setup& setup,
                      const std::vector<Values>& want, Report& report) {
  Run run(Mode::optimised);
  const Tensors in = tensors_of(setup.in);
  const Tensor loss = projection(subject, number, subject.call(setup.sample, in));
  const std::vector<Values> got = values_of(grad(loss, chosen(in, setup.which)));
  for (size_t j = 0; j < got.size(); ++j) {
    const double relative = (setup.narrow ? 1e-5 : 1e-10) * setup.sample.slack;
    const std::string text = difference(got[j], want[j], {relative, scale_of(want[j])});
    if (!text.empty())
      report.fail({setup.at, " gradient of input ", setup.which[j], " on cpu: ", text});
  }
}

/// <w, jvp(t)> = <vjp(w), t>.
void compare_forward_mode(const Subject& subject, size_t number, const Setup& setup,
                          const std::vector<Values>& g, Report& report) {
  Run run(Mode::reference);
  const Tensors in = tensors_of(setup.in);
  Tensors tangents(in.size());
  double want = 0, size = 1e-3;
  for (size_t j = 0; j < setup.which.size(); ++j) {
    const size_t i = setup.which[j];
    const std::vector<double> t = subject.weights(number, 200 + i, in[i].numel());
    tangents[i] = Tensor::from(t, in[i].shape());
    want += dot(g[j].v, t);
    for (double v : g[j].v) size += std::abs(v);
  }
  const auto f = [&](const Tensors& x) { return subject.call(setup.sample, x); };
  const double got = projection(subject, number, jvp(f, in, tangents)).item();
  const double relative = setup.narrow ? 1e-5 : 1e-9;
  if (!(std::abs(got - want) <= relative * size * setup.sample.slack))
    report.fail({setup.at, " jvp gives ", got, ", vjp ", want});
}

}  // namespace

void check_gradient(const Subject& subject, Report& report) {
  bool usable = false, checked = false;
  for (size_t number = 0; number < subject.samples().size(); ++number) {
    const Setup setup = prepare(subject, number);
    if (!setup.usable) continue;
    usable = true;
    checked = checked || setup.sample.check_grad;
    std::vector<Values> g;
    Run run(Mode::reference);
    try {
      const Tensors in = tensors_of(setup.in);
      const Tensor loss = projection(subject, number, subject.call(setup.sample, in));
      g = values_of(grad(loss, chosen(in, setup.which)));
    } catch (const Error& e) {
      // Where no gradient is promised it may turn out not to exist: of a singular matrix, say.
      if (!setup.sample.check_grad && e.kind() == Error::Kind::numeric) continue;
      throw;
    }
    if (!setup.sample.check_grad) continue;  // it could be taken: that is all that is asked
    const Function f = [&](const Inputs& in) {
      return projection(subject, number, subject.call(setup.sample, tensors_of(in))).item();
    };
    for (size_t j = 0; j < g.size(); ++j) {
      const size_t i = setup.which[j];
      const Key key = Key(3).fold_in(subject.def().name).fold_in(number).fold_in(j);
      compare_slopes(f, setup.in, i, g[j].v, 24, precision(subject, setup, kFine, report), 1,
                     setup.at, key, report);
      ++counts().gradients;
    }
    compare_forward_mode(subject, number, setup, g, report);
    compare_backends(subject, number, setup, g, report);
  }
  if (!usable || checked) return;
  const auto reason = kUnchecked.find(subject.def().name);
  if (reason == kUnchecked.end())
    report.fail({"no sample has its gradient compared with differences"});
  else
    counts().unchecked.insert(*reason);
}

void check_second_order(const Subject& subject, Report& report) {
  for (size_t number = 0; number < subject.samples().size(); ++number) {
    const Setup setup = prepare(subject, number);
    if (!setup.usable || !setup.sample.check_grad) continue;
    Run run(Mode::reference);
    std::vector<Values> g;
    {
      const Tensors in = tensors_of(setup.in);
      g = values_of(grad(second(subject, number, in, setup.which), chosen(in, setup.which)));
    }
    const Function f = [&](const Inputs& in) {
      return second(subject, number, tensors_of(in), setup.which).item();
    };
    for (size_t j = 0; j < g.size(); ++j) {
      const Key key = Key(4).fold_in(subject.def().name).fold_in(number).fold_in(j);
      compare_slopes(f, setup.in, setup.which[j], g[j].v, 3,
                     precision(subject, setup, kFineSecond, report), setup.sample.slack,
                     setup.at + " second order", key, report);
      ++counts().second_order;
    }
  }
}

}  // namespace nacre::testing
