// The classic lessons, as experiments with known outcomes.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"
#include "train/loss.h"

namespace nacre {
namespace {

using Doubles = std::vector<double>;

double dot(const Doubles& a, const Doubles& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Tensor column(const Doubles& v) { return Tensor::from(v, {static_cast<int64_t>(v.size()), 1}); }

/// Takes one step on a loss.
double step(Module& net, Optimizer& o, const std::function<Tensor()>& loss) {
  const Tensor l = loss();
  o.step(grad(l, values(net.trainable())));
  State* states[] = {net.state().get(), o.state().get()};
  State::commit(states, {l});
  return l.item();
}

Tensor run(Module& net, const Tensor& x) {
  Context ctx = Context::train(Key(0));
  return net(x, ctx);
}

std::unique_ptr<Module> model_f64(const std::string& name, const std::string& options) {
  return make_model(name, options, Scope::init(Key(1), DType::f64));
}

// ---- linear regression and gradient descent

TEST(LinearRegression, GradientDescentAgreesWithTheClosedForm) {
  // Weight from height, in cm above the mean / 10 so that one rate suits both parameters.
  Rng rng{Key(1)};
  const size_t n = 200;
  Doubles height(n), weight(n);
  for (size_t i = 0; i < n; ++i) {
    height[i] = 170 + 9 * rng.normal();
    weight[i] = 0.9 * height[i] - 85 + 4 * rng.normal();
  }
  const double mean_h = std::accumulate(height.begin(), height.end(), 0.0) / n;
  const double mean_w = std::accumulate(weight.begin(), weight.end(), 0.0) / n;
  double covariance = 0, variance = 0;
  Doubles scaled(n);
  for (size_t i = 0; i < n; ++i) {
    covariance += (height[i] - mean_h) * (weight[i] - mean_w);
    variance += (height[i] - mean_h) * (height[i] - mean_h);
    scaled[i] = (height[i] - mean_h) / 10;
  }
  const double slope = covariance / variance, intercept = mean_w - slope * mean_h;

  const auto net = model_f64("linear_regression", "");
  const auto sgd = make_optimizer("sgd", net->trainable(), 0.4);
  const Tensor x = column(scaled), y = column(weight);
  for (int t = 0; t < 300; ++t) step(*net, *sgd, [&] { return mse_loss(run(*net, x), y); });
  const double w = net->state()->find("fc.weight").value().item() / 10;
  const double b = net->state()->find("fc.bias").value().item() - w * mean_h;
  EXPECT_NEAR(w, slope, 1e-6);
  EXPECT_NEAR(b, intercept, 1e-6);
  const Doubles direct = lstsq(stack({Tensor::from(height, {200}), ones({200}, DType::f64)}, 1), y)
                             .to_vector<double>();
  EXPECT_NEAR(direct[0], slope, 1e-6);
  EXPECT_NEAR(direct[1], intercept, 1e-6);
}

TEST(GradientDescent, ConvergesOnAQuadraticAtTheRateOfTheory) {
  // f = (x - c)' A (x - c) / 2, eigenvalues of A from 1 to 10 in a random basis.
  const int64_t n = 6;
  const Tensor q = qr(normal({n, n}, Key(2), 0, 1, DType::f64))[0];
  const Tensor d = Tensor::from<double>({1, 2, 3, 5, 8, 10}, {1, n});
  const Tensor a = matmul(q * d, transpose(q)), c = normal({n, 1}, Key(3), 0, 1, DType::f64);
  eval({a, c});
  for (const double lr : {0.02, 0.1, 2 / 11.0, 0.19}) {
    const double theory = std::max(std::fabs(1 - lr * 1), std::fabs(1 - lr * 10));
    const Variable x = Scope::init(Key(0), DType::f64).parameter("x", {n, 1}, init::zeros());
    SGD sgd({x}, {.lr = lr});
    const auto distance = [&] { return std::sqrt(sum(square(x.value() - c)).item()); };
    const auto steps = [&](int count) {
      for (int t = 0; t < count; ++t) {
        const Tensor e = x.value() - c;
        sgd.step(grad(0.5 * sum(e * matmul(a, e)), {x.value()}));
        Variable(x).commit();
        eval(x.value());
      }
    };
    steps(60);
    const double before = distance();
    steps(40);
    const double rate = std::pow(distance() / before, 1 / 40.0);
    EXPECT_NEAR(std::log(rate), std::log(theory), 0.05 * std::fabs(std::log(theory))) << lr;
  }
}

TEST(MiniBatches, HaveTheGradientOfTheWholeOnAverage) {
  const int64_t n = 200, size = 20, draws = 300;
  const auto net = model_f64("mlp", "in=6 hidden=5 classes=3");
  const Tensor x = normal({n, 6}, Key(8), 0, 1, DType::f64), y = randint({n}, Key(9), 0, 3);
  eval({x, y});
  const auto gradient = [&](const Tensor& xs, const Tensor& ys) {
    Doubles all;
    for (const Tensor& g : grad(cross_entropy(run(*net, xs), ys), values(net->trainable()))) {
      const Doubles v = g.to_vector<double>();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  };
  const Doubles whole = gradient(x, y);
  Doubles sums(whole.size()), squares(whole.size());
  const SamplerPtr sampler = shuffled(n);
  for (int64_t k = 0; k < draws; ++k) {
    Indices order = sampler->order(Key(1), k);
    EXPECT_EQ(order, sampler->order(Key(1), k));  // a seed and an epoch give one order
    order.resize(static_cast<size_t>(size));
    const Tensor chosen = Tensor::from(order, {size});
    const Doubles g = gradient(index_select(x, 0, chosen), index_select(y, 0, chosen));
    for (size_t i = 0; i < g.size(); ++i) {
      sums[i] += g[i];
      squares[i] += g[i] * g[i];
    }
  }
  double mean_square = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    const double mean = sums[i] / draws, variance = squares[i] / draws - mean * mean;
    const double z = (mean - whole[i]) / std::sqrt(variance / (draws - 1));
    EXPECT_LT(std::fabs(z), 4.5) << i;
    mean_square += z * z / static_cast<double>(whole.size());
  }
  EXPECT_GT(mean_square, 0.3);  // 1 is expected; 53 parameters, not independent
  EXPECT_LT(mean_square, 2);
}

// ---- perceptron

/// Points with a 1 appended, and their sides 1 or -1.
struct Sides {
  std::vector<Doubles> points;
  std::vector<int> side;
};

/// One threshold unit, trained on one sample at a time.
class Unit {
 public:
  explicit Unit(const Sides& s) : sides_(s), n_(static_cast<int64_t>(s.points.size())) {
    const auto in = static_cast<int64_t>(s.points[0].size()) - 1;
    net_ = model_f64("perceptron", "classes=1 in=" + std::to_string(in));
    sgd_ = make_optimizer("sgd", net_->trainable(), 1);
    Doubles all;
    for (const Doubles& p : s.points) all.insert(all.end(), p.begin(), p.end() - 1);
    x_ = Tensor::from(all, {n_, in});
  }
  /// Learns from the next sample that is on the wrong side, in turn; -1 if none is.
  int64_t learn() {
    const Doubles score = run(*net_, x_).to_vector<double>();
    for (int64_t k = 0; k < n_; ++k) {
      const int64_t i = (last_ + 1 + k) % n_;
      if (sides_.side[static_cast<size_t>(i)] * score[static_cast<size_t>(i)] > 0) continue;
      Batch b;
      b.indices = {0};
      b.labels = {sides_.side[static_cast<size_t>(i)] > 0 ? 0 : 1};
      const Tensor x = index_select(x_, 0, Tensor::from<int64_t>({i}, {1}));
      step(*net_, *sgd_, [&] { return loss_of("perceptron", run(*net_, x), b); });
      return last_ = i;
    }
    return -1;
  }
  Doubles weights() const {
    Doubles w = net_->state()->find("fc.weight").value().to_vector<double>();
    w.push_back(net_->state()->find("fc.bias").value().item());
    return w;
  }

 private:
  const Sides& sides_;
  int64_t n_, last_ = -1;
  std::unique_ptr<Module> net_;
  std::unique_ptr<Optimizer> sgd_;
  Tensor x_;
};

TEST(Perceptron, MakesNoMoreMistakesThanNovikoffAllows) {
  Rng rng{Key(4)};
  int64_t most = 0;
  for (int set = 0; set < 100; ++set) {
    const size_t in = 2 + rng.below(4), n = 10 + rng.below(30);
    Doubles u(in + 1);
    for (double& v : u) v = rng.normal();
    const double length = std::sqrt(dot(u, u));
    for (double& v : u) v /= length;
    Sides s;
    double radius = 0, margin = INFINITY;
    while (s.points.size() < n) {
      Doubles p(in + 1, 1);
      for (size_t k = 0; k < in; ++k) p[k] = rng.uniform(-1, 1);
      const double distance = dot(p, u);
      if (std::fabs(distance) < 0.1) continue;
      radius = std::max(radius, dot(p, p));
      margin = std::min(margin, std::fabs(distance));
      s.side.push_back(distance > 0 ? 1 : -1);
      s.points.push_back(p);
    }
    const double bound = radius / (margin * margin);  // (R / gamma)^2
    Unit unit(s);
    int64_t mistakes = 0;
    while (unit.learn() >= 0) ASSERT_LE(static_cast<double>(++mistakes), bound) << "set " << set;
    const Doubles w = unit.weights();
    for (size_t i = 0; i < n; ++i) EXPECT_GT(s.side[i] * dot(w, s.points[i]), 0);
    most = std::max(most, mistakes);
  }
  EXPECT_GT(most, 10);  // the sets are not trivial
}

// ---- exclusive or

/// Weights w with side * (w, x) > 0 for all points do not exist if some multipliers, not negative
/// and not all zero, make the sum of multiplier * side * x zero (Gordan 1873). On whole numbers the
/// perceptron finds one or the other: its weights stay bounded, so they separate or come back, and
/// the mistakes in between are the multipliers. Empty if it separates.
std::vector<int64_t> gordan_multipliers(const Sides& s) {
  Unit unit(s);
  std::vector<int64_t> counts(s.points.size());
  std::map<std::pair<Doubles, int64_t>, std::vector<int64_t>> seen;
  int64_t last = -1;
  while (true) {
    const auto [at, fresh] = seen.try_emplace({unit.weights(), last}, counts);
    if (!fresh) {
      for (size_t i = 0; i < counts.size(); ++i) counts[i] -= at->second[i];
      return counts;
    }
    last = unit.learn();
    if (last < 0) return {};
    ++counts[static_cast<size_t>(last)];
  }
}

TEST(ExclusiveOr, NoSingleUnitComputesItAndTheCertificateSaysWhy) {
  int separable = 0;
  for (int table = 0; table < 16; ++table) {
    Sides s;
    for (int i = 0; i < 4; ++i) {
      s.points.push_back({static_cast<double>(i / 2), static_cast<double>(i % 2), 1});
      s.side.push_back(table >> i & 1 ? 1 : -1);
    }
    const auto multipliers = gordan_multipliers(s);
    if (multipliers.empty()) {
      ++separable;
      EXPECT_TRUE(table != 6 && table != 9);
      continue;
    }
    EXPECT_TRUE(table == 6 || table == 9) << table;  // exclusive or, and its opposite
    int64_t total = 0, sums[3] = {};
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_GE(multipliers[i], 0);
      total += multipliers[i];
      for (size_t k = 0; k < 3; ++k)
        sums[k] += multipliers[i] * s.side[i] * static_cast<int64_t>(s.points[i][k]);
    }
    EXPECT_GT(total, 0);
    for (const int64_t sum : sums) EXPECT_EQ(sum, 0);
  }
  EXPECT_EQ(separable, 14);
}

TEST(ExclusiveOr, TwoHiddenUnitsComputeIt) {
  const auto net = make_model("mlp", "in=2 hidden=2 classes=1", Scope::init(Key(0)));
  EXPECT_EQ(net->parameter_count(), 9);
  const std::pair<const char*, std::vector<float>> values[] = {{"layers.0.weight", {1, 1, 1, 1}},
                                                               {"layers.0.bias", {0, -1}},
                                                               {"layers.2.weight", {1, -2}},
                                                               {"layers.2.bias", {0}}};
  for (const auto& [name, v] : values) {
    Variable p = net->state()->find(name);
    ASSERT_TRUE(p.defined()) << name;
    p.set(Tensor::from(v, p.value().shape()));
  }
  const Tensor x = Tensor::from<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  EXPECT_EQ(run(*net, x).to_vector<float>(), (std::vector<float>{0, 1, 1, 0}));
}

// ---- adaline

struct LeastSquares {
  Tensor x, y;
  Doubles weights;       // the optimum, bias last
  double largest_value;  // eigenvalue of the Hessian 2 X'X / n, with the column of ones
};

LeastSquares noisy_plane() {
  const int64_t n = 60;
  LeastSquares s;
  s.x = normal({n, 3}, Key(5), 0.3, 1, DType::f64);
  const Tensor w = Tensor::from<double>({1.5, -2, 0.5}, {3, 1});
  s.y = matmul(s.x, w) + 0.7 + normal({n, 1}, Key(6), 0, 0.1, DType::f64);
  eval({s.x, s.y});
  const Tensor with_ones = concat({s.x, ones({n, 1}, DType::f64)}, 1);
  s.weights = lstsq(with_ones, s.y).to_vector<double>();
  const Tensor hessian = 2.0 / n * matmul(transpose(with_ones), with_ones);
  Tensor v = ones({4, 1}, DType::f64);
  for (int t = 0; t < 200; ++t) {
    v = matmul(hessian, v);
    s.largest_value = std::sqrt(sum(square(v)).item());
    v = v / s.largest_value;
    eval(v);
  }
  return s;
}

double distance(const Module& net, const Doubles& want) {
  Doubles w = net.state()->find("fc.weight").value().to_vector<double>();
  w.push_back(net.state()->find("fc.bias").value().item());
  double worst = 0;
  for (size_t i = 0; i < w.size(); ++i) worst = std::max(worst, std::fabs(w[i] - want[i]));
  return worst;
}

TEST(Adaline, SampleBySampleComesToTheLeastSquaresWeights) {
  const LeastSquares s = noisy_plane();
  const auto net = model_f64("adaline", "in=3 classes=1");
  const auto sgd = make_optimizer("sgd", net->trainable(), 0.02);
  const Doubles targets = s.y.to_vector<double>();
  for (int epoch = 0; epoch < 100; ++epoch) {
    sgd->set_lr(0.02 / (1 + 0.2 * epoch));  // falling, so that the noise of single samples dies
    for (int64_t i = 0; i < 60; ++i) {
      Batch b;
      b.indices = {i};
      b.targets = {static_cast<float>(targets[static_cast<size_t>(i)])};
      b.target_width = 1;
      const Tensor x = index_select(s.x, 0, Tensor::from<int64_t>({i}, {1}));
      step(*net, *sgd, [&] { return loss_of("mse", run(*net, x), b); });
    }
  }
  EXPECT_LT(distance(*net, s.weights), 1e-3);
}

TEST(Adaline, ConvergesBelowAndDivergesAboveTheBoundOnTheStep) {
  const LeastSquares s = noisy_plane();
  const double bound = 2 / s.largest_value;
  for (const double part : {0.98, 1.02}) {
    const auto net = model_f64("adaline", "in=3 classes=1");
    const auto sgd = make_optimizer("sgd", net->trainable(), part * bound);
    for (int t = 0; t < 800; ++t) step(*net, *sgd, [&] { return mse_loss(run(*net, s.x), s.y); });
    if (part < 1)
      EXPECT_LT(distance(*net, s.weights), 1e-3);
    else
      EXPECT_GT(distance(*net, s.weights), 1e3);
  }
}

// ---- universal approximation

double largest_error(const Tensor& a, const Tensor& b) {
  return std::fabs(amax(abs(a - b)).item());
}

TEST(UniversalApproximation, TheErrorFallsBelowAHundredthAsWidthGrows) {
  const std::pair<const char*, std::function<Tensor(const Tensor&)>> functions[] = {
      {"sine", [](const Tensor& x) { return sin(10.0 * x); }},
      {"wavelet", [](const Tensor& x) { return exp(-10.0 * square(x)) * cos(15.0 * x); }},
      {"Runge", [](const Tensor& x) { return 1.0 / (1.0 + 25.0 * square(x)); }}};
  const Tensor x = reshape(linspace(-1, 1, 401, DType::f64), {401, 1});
  const Tensor between = reshape(linspace(-0.999, 0.999, 1501, DType::f64), {1501, 1});
  eval({x, between});
  for (const auto& [name, f] : functions) {
    Doubles errors;
    for (const int64_t width : {1, 4, 36}) {
      // Units tanh(w (x - c)) start with centres c spread over the interval.
      const Scope s = Scope::init(Key(7), DType::f64);
      const double w = 1 + 0.5 * static_cast<double>(width);
      Linear in(s / "in", {1, width, true, init::constant(w)}), out(s / "out", {width, 1});
      in.bias.set(w * linspace(-1, 1, width, DType::f64));
      in.bias.commit();
      const auto net = [&](const Tensor& at) {
        Context ctx = Context::eval();
        return out(tanh(in(at, ctx)), ctx);
      };
      LBFGS optimizer({in.weight, in.bias, out.weight, out.bias}, {.max_iterations = 600});
      optimizer.step([&] { return mse_loss(net(x), f(x)); });
      errors.push_back(largest_error(net(between), f(between)));
    }
    // 1.1, 1.0, 0.005; 0.94, 0.06, 0.002; 0.64, 0.012, 0.0005
    EXPECT_GT(errors.front(), 0.1) << name;
    EXPECT_LT(errors.back(), 0.01) << name;
    for (size_t i = 1; i < errors.size(); ++i) EXPECT_LT(errors[i], errors[i - 1]) << name;
  }
}

/// 2^(layers - 1) teeth on 0..1: the tent map, two ReLU units, again and again (Telgarsky 2016).
Tensor deep_saw_tooth(const Tensor& x, int layers) {
  Tensor y = x;
  for (int k = 0; k < layers; ++k) y = 2.0 * relu(y) - 4.0 * relu(y - 0.5);
  return y;
}

/// One hidden layer of n ReLU units that meets y at n + 1 equally spaced places.
Tensor shallow_interpolation(const Tensor& x, int n, const std::function<double(double)>& f) {
  Tensor y = f(0) * ones_like(x);
  double slope = 0;
  for (int k = 0; k < n; ++k) {
    const double left = static_cast<double>(k) / n;
    const double next = (f(static_cast<double>(k + 1) / n) - f(left)) * n;
    y = y + (next - slope) * relu(x - left);
    slope = next;
  }
  return y;
}

TEST(UniversalApproximation, DepthReachesASawToothWithFewerUnits) {
  constexpr int kLayers = 6, kPieces = 64;  // 12 units make 32 teeth, 64 straight pieces
  const auto saw = [](double x) {
    const double t = x * kPieces / 2;
    const double part = t - std::floor(t);
    return part < 0.5 ? 2 * part : 2 - 2 * part;
  };
  const Tensor x = linspace(0, 1, 4097, DType::f64);
  Doubles want;
  for (int i = 0; i <= 4096; ++i) want.push_back(saw(i / 4096.0));
  const Tensor y = Tensor::from(want, {4097});
  EXPECT_LT(largest_error(deep_saw_tooth(x, kLayers), y), 1e-9);
  // The saw turns, or ends, at 65 places. Up to 31 units in one layer have at most 32 straight
  // pieces, so that one of them passes three such places in a row, where the saw is 0, 1, 0 or
  // 1, 0, 1, and misses one of them by a half or more.
  EXPECT_LT(largest_error(shallow_interpolation(x, kPieces, saw), y), 1e-9);
  for (const int units : {2 * kLayers, 24, 31})
    EXPECT_GE(largest_error(shallow_interpolation(x, units, saw), y), 0.5) << units;
}

}  // namespace
}  // namespace nacre
