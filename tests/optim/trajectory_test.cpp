// Optimisers and schedules against goldens/trajectories.txt, which goldens/make.py writes.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

using Trajectory = std::map<int64_t, std::vector<double>>;

const std::map<std::string, Trajectory>& goldens() {
  static const auto all = [] {
    std::map<std::string, Trajectory> read;
    std::ifstream file(std::string(NACRE_SOURCE_DIR) + "/tests/optim/goldens/trajectories.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream in(line);
      std::string kind, name;
      int64_t step = 0;
      in >> kind >> name >> step;
      for (double v; in >> v;) read[kind + " " + name][step].push_back(v);
    }
    return read;
  }();
  return all;
}

Variable parameter(const Scope& s, const char* name, const std::vector<double>& v,
                   const Shape& shape) {
  return s.parameter(name, shape, [&](const Shape&, const Key&) { return Tensor::from(v, shape); });
}

/// The problem of make.py.
struct GoldenProblem {
  Scope scope = Scope::init(Key(0), DType::f64);
  Variable w = parameter(scope, "w", {0.6, -0.4, 0.3, 0.8}, {2, 2});
  Variable b = parameter(scope, "b", {0.1, -0.2}, {2});
  Tensor x = Tensor::from({0.5, -1.2, 1.5, 0.3, -0.7, 0.8, 0.2, 2.0, -1.1, -0.4}, {5, 2});
  Tensor y = Tensor::from({0.3, -0.6, 0.9, 0.1, -0.2, 0.5, 0.7, -0.8, -0.5, 0.2}, {5, 2});

  Tensor loss() const {
    const Tensor error = tanh(matmul(x, transpose(w.value(), 0, 1)) + b.value()) - y;
    return mean(error * error) + 0.05 * sum(square(w.value() * w.value()));
  }
  std::vector<double> read() const {
    auto all = w.value().to_vector<double>();
    for (double v : b.value().to_vector<double>()) all.push_back(v);
    return all;
  }
};

void step(Optimizer& o, const Tensor& loss) {
  o.step(grad(loss, values(o.parameters())));
  for (Variable v : o.parameters()) eval(v.value());
  State::commit(std::vector<State*>{o.state().get()}, {});
}

using Maker = std::function<std::unique_ptr<Optimizer>(std::vector<Variable>)>;
template <typename O, typename Options>
Maker with(const Options& o) {
  return [o](std::vector<Variable> p) { return std::make_unique<O>(std::move(p), o); };
}

const std::map<std::string, Maker>& optimizers() {
  static const std::map<std::string, Maker> all = {
      {"sgd", with<SGD>(SGD::Options{.lr = 0.1})},
      {"sgd_decay", with<SGD>(SGD::Options{.lr = 0.1, .weight_decay = 0.03})},
      {"momentum", with<SGD>(SGD::Options{.lr = 0.05, .momentum = 0.9})},
      {"nesterov", with<SGD>(SGD::Options{
                       .lr = 0.05, .momentum = 0.8, .weight_decay = 0.02, .nesterov = true})},
      {"adagrad", with<Adagrad>(Adagrad::Options{.lr = 0.1})},
      {"adagrad_all",
       with<Adagrad>(Adagrad::Options{
           .lr = 0.1, .lr_decay = 0.01, .weight_decay = 0.02, .initial_accumulator = 0.1})},
      {"adadelta", with<Adadelta>(Adadelta::Options{})},
      {"adadelta_all",
       with<Adadelta>(Adadelta::Options{.lr = 0.5, .rho = 0.8, .eps = 1e-5, .weight_decay = 0.02})},
      {"rmsprop", with<RMSprop>(RMSprop::Options{.lr = 0.01})},
      {"rmsprop_all",
       with<RMSprop>(RMSprop::Options{
           .lr = 0.01, .alpha = 0.9, .weight_decay = 0.02, .momentum = 0.5, .centered = true})},
      {"rmsprop_momentum",
       with<RMSprop>(RMSprop::Options{.lr = 0.01, .alpha = 0.9, .eps = 1e-3, .momentum = 0.9})},
      {"adam", with<Adam>(AdamOptions{.lr = 0.02})},
      {"adam_decay",
       with<Adam>(AdamOptions{
           .lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.03})},
      {"adamw", with<AdamW>(AdamOptions{.lr = 0.02, .weight_decay = 0.1})},
      {"sparse_adam", with<SparseAdam>(AdamOptions{.lr = 0.02})},
      {"nadam", with<NAdam>(AdamOptions{.lr = 0.004, .weight_decay = 0.01})},
      {"radam", with<RAdam>(AdamOptions{.lr = 0.02, .weight_decay = 0.01})},
      {"adamax", with<Adamax>(AdamOptions{.lr = 0.02, .weight_decay = 0.01})},
      {"rprop", with<Rprop>(Rprop::Options{.lr = 0.01})},
      {"lamb", with<LAMB>(AdamOptions{.lr = 0.02, .weight_decay = 0.05})},
      {"lars", with<LARS>(LARS::Options{
                   .lr = 2, .momentum = 0.9, .weight_decay = 0.02, .trust = 1e-2, .eps = 0})},
      {"lion", with<Lion>(Lion::Options{.lr = 0.01, .weight_decay = 0.1})},
  };
  return all;
}

class Optimizers : public ::testing::TestWithParam<std::string> {};

TEST_P(Optimizers, FollowTheReferenceTrajectory) {
  const auto golden = goldens().find("optimizer " + GetParam());
  ASSERT_NE(golden, goldens().end());
  GoldenProblem p;
  const auto o = optimizers().at(GetParam())({p.w, p.b});
  size_t compared = 0;
  for (int64_t t = 1; t <= 100; ++t) {
    step(*o, p.loss());
    const auto want = golden->second.find(t);
    if (want == golden->second.end()) continue;
    const auto got = p.read();
    ASSERT_EQ(got.size(), want->second.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want->second[i], 1e-9 * std::max(1.0, std::fabs(want->second[i])))
          << "parameter " << i << " after step " << t;
    ++compared;
  }
  EXPECT_EQ(compared, 8u);
}

/// A new optimiser that takes over state and number of steps goes on with the same bits.
TEST_P(Optimizers, GoOnFromTheirState) {
  GoldenProblem whole, parts;
  const auto want = optimizers().at(GetParam())({whole.w, whole.b});
  for (int t = 0; t < 12; ++t) step(*want, whole.loss());
  auto o = optimizers().at(GetParam())({parts.w, parts.b});
  for (int t = 0; t < 12; ++t) {
    if (t == 5 || t == 6) {
      auto next = optimizers().at(GetParam())({parts.w, parts.b});
      for (const Variable& v : o->state()->variables())
        next->state()->add(v.name(), v.value(), false);
      next->set_steps(o->steps());
      o = std::move(next);
    }
    step(*o, parts.loss());
  }
  EXPECT_EQ(parts.read(), whole.read());
  o->reset();
  const auto fresh = optimizers().at(GetParam())({whole.w, whole.b});
  step(*o, parts.loss());
  step(*fresh, whole.loss());
  EXPECT_EQ(parts.read(), whole.read()) << "after reset()";
}

TEST_P(Optimizers, LeaveParametersWhereTheConditionIsFalse) {
  GoldenProblem p;
  const auto o = optimizers().at(GetParam())({p.w, p.b});
  const auto before = p.read();
  for (const bool yes : {false, true}) {
    Tensors g = grad(p.loss(), {p.w.value(), p.b.value()});
    if (!yes)
      for (Tensor& t : g) t = t * NAN;
    o->step(g, Tensor(yes));
    EXPECT_EQ(p.read() == before, !yes);
    for (const Variable& v : o->state()->variables())
      for (double x : v.value().to_vector<double>()) EXPECT_TRUE(std::isfinite(x)) << v.name();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Optimizers, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& [name, make] : optimizers()) names.push_back(name);
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

TEST(OptimizerTable, EveryNamedOptimizerHasATrajectory) {
  for (const std::string& name : optimizer_names())
    EXPECT_TRUE(goldens().count("optimizer " + name)) << name;
  GoldenProblem p;
  EXPECT_THROW(make_optimizer("adamm", {p.w}, 0.1), Error);
}

TEST(Optimizer, RefusesGradientsThatDoNotFit) {
  GoldenProblem p;
  SGD o({p.w, p.b}, {});
  EXPECT_THROW(o.step({p.w.value()}), Error);
  EXPECT_THROW(o.step({p.w.value(), p.w.value()}), Error);
  EXPECT_THROW(SGD({}, {}), Error);
}

/// 0.5 sum d_i (x_i - c_i)^2 in ten dimensions, condition number 10.
struct Quadratic {
  Scope scope = Scope::init(Key(0), DType::f64);
  Variable x = parameter(scope, "x", std::vector<double>(10, 2.0), {10});
  Tensor d, c;
  Quadratic() {
    std::vector<double> dv, cv;
    for (int i = 0; i < 10; ++i) {
      dv.push_back(1 + i);
      cv.push_back(0.1 * i - 0.5);
    }
    d = Tensor::from(dv, {10});
    c = Tensor::from(cv, {10});
  }
  Tensor loss() const { return 0.5 * sum(d * square(x.value() - c)); }
};

TEST(Quadratic, IsSolved) {
  const std::vector<std::pair<std::string, double>> rates = {
      {"sgd", 0.1},     {"momentum", 0.02}, {"nesterov", 0.02}, {"adagrad", 0.5},
      {"adam", 0.05},   {"rmsprop", 0.02},  {"nadam", 0.05},    {"radam", 0.05},
      {"adamax", 0.05}, {"rprop", 0.1},     {"adamw", 0.05},    {"lamb", 0.05}};
  for (const auto& [name, lr] : rates) {
    Quadratic q;
    const auto o = make_optimizer(name, {q.x}, lr);
    // The length of their steps does not shrink with the gradient: the rate has to.
    const bool falling = name == "rmsprop" || name == "lamb";
    const int steps = falling ? 4000 : 1000;
    for (int i = 0; i < steps; ++i) {
      if (falling) o->set_lr(lr * (1 - i / 4000.0));
      step(*o, q.loss());
    }
    EXPECT_LT(q.loss().item(), 1e-6) << name;
  }
}

TEST(Lbfgs, FollowsTheReferenceTrajectory) {
  GoldenProblem p;
  LBFGS o({p.w, p.b}, {.max_iterations = 1});
  for (int64_t t = 1; t <= 20; ++t) {
    o.step([&] { return p.loss(); });
    const auto got = p.read(), &want = goldens().at("lbfgs all").at(t);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 1e-6) << "parameter " << i << " after step " << t;
  }
}

TEST(Lbfgs, FollowsTheReferenceForAHundredSteps) {
  const Scope scope = Scope::init(Key(0), DType::f64);
  const Variable x = parameter(scope, "x", std::vector<double>(30, 0.1), {30});
  std::vector<double> weights;
  for (int i = 0; i < 30; ++i) weights.push_back(std::pow(10, -3 * i / 29.0));
  const Tensor d = Tensor::from(weights, {30});
  LBFGS o({x}, {.lr = 0.3, .tolerance_gradient = 0, .tolerance_change = 0, .max_iterations = 1});
  const Trajectory& golden = goldens().at("lbfgs long");
  size_t compared = 0;
  for (int64_t t = 1; t <= 100; ++t) {
    o.step([&] { return sum(d * (0.5 * square(x.value()) + square(square(x.value())))); });
    const auto want = golden.find(t);
    if (want == golden.end()) continue;
    const auto got = x.value().to_vector<double>();
    ASSERT_EQ(got.size(), want->second.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want->second[i], 1e-9) << "parameter " << i << " after step " << t;
    ++compared;
  }
  EXPECT_EQ(compared, 8u);
}

TEST(Lbfgs, SolvesAQuadraticAndRosenbrock) {
  Quadratic q;
  LBFGS o({q.x}, {});
  EXPECT_LT(o.step([&] { return q.loss(); }), 1e-6);
  EXPECT_LT(q.loss().item(), 1e-6);

  const Scope scope = Scope::init(Key(0), DType::f64);
  const Variable a = parameter(scope, "a", {-1.2}, {1}), b = parameter(scope, "b", {1.0}, {1});
  LBFGS rosenbrock({a, b}, {.max_iterations = 100});
  const double last = rosenbrock.step(
      [&] { return sum(square(1.0 - a.value()) + 100.0 * square(b.value() - square(a.value()))); });
  EXPECT_LT(last, 1e-10);
  EXPECT_NEAR(a.value().item(), 1, 1e-4);
  EXPECT_NEAR(b.value().item(), 1, 1e-4);
}

TEST(Gradients, AreClippedToTheNorm) {
  Tensors g = {Tensor::from({3.0, 0.0}, {2}), Tensor::from({-4.0}, {1})};
  EXPECT_NEAR(clip_grad_norm(g, 1).item(), 5, 1e-6);
  EXPECT_NEAR(g[0].to_vector<double>()[0], 0.6, 1e-6);
  EXPECT_NEAR(g[1].to_vector<double>()[0], -0.8, 1e-6);
  Tensors small = {Tensor::from({0.3, 0.4}, {2})};
  clip_grad_norm(small, 1);
  EXPECT_EQ(small[0].to_vector<double>(), (std::vector<double>{0.3, 0.4}));
  clip_grad_value(small, 0.35);
  EXPECT_EQ(small[0].to_vector<double>(), (std::vector<double>{0.3, 0.35}));
}

TEST(Average, IsExponentialOrPlainAndSwaps) {
  for (const double decay : {0.9, -1.0}) {
    Quadratic q;
    SGD o({q.x}, {.lr = 0.05});
    Average average({q.x}, decay);
    double want = 2;  // of x_0
    for (int i = 1; i <= 20; ++i) {
      step(o, q.loss());
      average.update();
      State::commit(std::vector<State*>{average.state().get()}, {});
      const double now = q.x.value().to_vector<double>()[0];
      want = decay >= 0 ? decay * want + (1 - decay) * now : want + (now - want) / i;
    }
    const auto before = q.x.value().to_vector<double>();
    average.swap();
    EXPECT_NEAR(q.x.value().to_vector<double>()[0], want, 1e-12);
    average.swap();
    EXPECT_EQ(q.x.value().to_vector<double>(), before);
  }
}

TEST(Schedules, AreThoseOfTheReference) {
  std::map<std::string, schedule::P> all;
  all["step"] = schedule::step(0.5, 7, 0.3);
  all["multi_step"] = schedule::multi_step(0.5, {5, 20, 21}, 0.2);
  all["exponential"] = schedule::exponential(0.5, 0.93);
  all["cosine"] = schedule::cosine(0.5, 60, 0.01);
  all["cosine_restarts"] = schedule::cosine(0.5, 8, 0.02, 2);
  all["one_cycle"] = schedule::one_cycle(0.5, 61);
  all["polynomial"] = schedule::polynomial(0.5, 40, 2);
  for (const auto& [name, s] : all) {
    const Trajectory& want = goldens().at("schedule " + name);
    ASSERT_EQ(want.size(), 60u);
    for (const auto& [at, rate] : want)
      EXPECT_NEAR(s->at(at), rate[0], 1e-12) << name << " at " << at;
  }
}

TEST(Schedules, PlateauFollowsTheMetricAndIsRestored) {
  const std::vector<double> metrics = {1.0,  0.9,  0.95, 0.91, 0.92, 0.89999, 0.8, 0.85,
                                       0.85, 0.85, 0.85, 0.7,  0.71, 0.72,    0.73};
  auto s = schedule::plateau(0.5, 0.5, 2, 1e-3, 0.1);
  for (const auto& [at, rate] : goldens().at("schedule plateau")) {
    EXPECT_NEAR(s->at(at), rate[0], 1e-12) << at;
    s->metric(metrics[static_cast<size_t>(at)]);
    auto next = schedule::plateau(0.5, 0.5, 2, 1e-3, 0.1);
    next->restore(s->memory());
    s = std::move(next);
  }
  EXPECT_THROW(s->restore({1}), Error);
}

TEST(Schedules, AreReadFromText) {
  const auto s = schedule::parse("warmup:2+cosine", 1, 5, 10);
  for (int64_t i = 1; i < 10; ++i) EXPECT_GT(s->at(i), s->at(i - 1));
  EXPECT_DOUBLE_EQ(s->at(10), 1);
  EXPECT_LT(s->at(49), 0.01);
  EXPECT_NEAR(schedule::parse("step:2:0.5", 1, 5, 10)->at(10), 0.5, 1e-12);
  for (const char* bad : {"", "cosin", "step:x", "multi_step", "warmup:+cosine", "step:1:2x"})
    EXPECT_THROW(schedule::parse(bad, 1, 5, 10), Error) << bad;
}

}  // namespace
}  // namespace nacre
