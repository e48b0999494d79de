// Claims about single ops, losses and back-propagation, each checked by its formula.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "backends/cpu/elementwise/program.h"
#include "backends/cpu/kernel_macros.h"
#include "nacre/autograd.h"
#include "nacre/gradient_check.h"
#include "nacre/ops.h"
#include "ops/mill.h"

namespace nacre::testing {
namespace {

std::vector<double> spaced(double low, double high, int n) {
  std::vector<double> v;
  for (int i = 0; i < n; ++i) v.push_back(low + (high - low) * i / (n - 1));
  return v;
}

Tensor column(const std::vector<double>& v) {
  return Tensor::from(v, {static_cast<int64_t>(v.size())});
}

Tensor random(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
  Rng rng{Key(seed)};
  std::vector<double> v(static_cast<size_t>(shape.numel()));
  for (double& x : v) x = rng.uniform(low, high);
  return Tensor::from(v, shape);
}

/// f and its gradient against formulas, at each x.
void expect_formula(const std::function<Tensor(const Tensor&)>& f, const std::vector<double>& xs,
                    const std::function<double(double)>& value,
                    const std::function<double(double)>& slope, double tolerance) {
  const Tensor x = column(xs), y = f(x), g = grad(sum(y), {x})[0];
  const auto ys = y.to_vector<double>(), gs = g.to_vector<double>();
  for (size_t i = 0; i < xs.size(); ++i) {
    EXPECT_NEAR(ys[i], value(xs[i]), tolerance) << "at " << xs[i];
    EXPECT_NEAR(gs[i], slope(xs[i]), tolerance) << "at " << xs[i];
  }
}

TEST(Activation, SigmoidNeverOverflows) {
  const auto exact = [](double x) {
    return static_cast<double>(1 / (1 + std::exp(-static_cast<long double>(x))));
  };
  expect_formula([](const Tensor& x) { return sigmoid(x); }, spaced(-1e4, 1e4, 401), exact,
                 [&](double x) { return exact(x) * exact(-x); }, 1e-12);
  std::vector<double> xs = spaced(-30, 30, 601);
  for (const double far : spaced(-1e4, 1e4, 401)) xs.push_back(far);
  const auto y = sigmoid(cast(column(xs), DType::f32)).to_vector<double>();
  for (size_t i = 0; i < xs.size(); ++i)
    EXPECT_NEAR(y[i], exact(static_cast<float>(xs[i])), 1e-7) << "f32 at " << xs[i];
}

TEST(Activation, TanhIsExactToOneUnit) {
  const std::vector<double> xs = spaced(-20, 20, 801);
  const auto y = tanh(cast(column(xs), DType::f32)).to_vector<double>();
  for (size_t i = 0; i < xs.size(); ++i)
    EXPECT_NEAR(y[i],
                static_cast<double>(std::tanh(static_cast<long double>(static_cast<float>(xs[i])))),
                1e-7);
  expect_formula([](const Tensor& x) { return tanh(x); }, xs, [](double x) { return std::tanh(x); },
                 [](double x) { return 1 - std::tanh(x) * std::tanh(x); }, 1e-12);
}

TEST(Activation, ReluIsExact) {
  expect_formula([](const Tensor& x) { return relu(x); }, {-3, -1e-300, 0, 1e-300, 2.5},
                 [](double x) { return std::max(x, 0.0); },
                 [](double x) { return x > 0 ? 1.0 : 0.0; }, 0);
}

TEST(Activation, LeakyReluIsExactAndHasTheSlopeOfTheLeftAtZero) {
  for (double slope : {0.01, 0.2})
    expect_formula([&](const Tensor& x) { return leaky_relu(x, slope); }, {-3, -0.5, 0, 0.5, 2.5},
                   [&](double x) { return std::max(slope * x, x); },
                   [&](double x) { return x > 0 ? 1.0 : slope; }, 0);
}

TEST(Activation, EluFollowsItsFormulaAndIsContinuous) {
  expect_formula([](const Tensor& x) { return elu(x, 1.0); },
                 {-20, -3, -1e-4, -1e-9, 1e-9, 0.5, 2.5},
                 [](double x) { return x >= 0 ? x : std::expm1(x); },
                 [](double x) { return x >= 0 ? 1 : std::exp(x); }, 1e-7);
  const auto y = elu(column({-1e-12, 0, 1e-12}), 1.0).to_vector<double>();
  EXPECT_NEAR(y[0], y[1], 1e-11);
  EXPECT_NEAR(y[2], y[1], 1e-11);
}

TEST(Activation, SoftmaxSumsToOneAndIgnoresShifts) {
  const Tensor x = cast(random({16, 33}, 1, -1e4, 1e4), DType::f32);
  for (double s : sum(softmax(x), {1}).to_vector<double>()) EXPECT_NEAR(s, 1, 1e-6);
  const Tensor z = random({4, 9}, 2, -3, 3);
  const auto a = softmax(z).to_vector<double>(), b = softmax(z + 700.0).to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12);
  const Tensor row = random({6}, 3, -2, 2);
  const auto p = softmax(row).to_vector<double>();
  for (size_t i = 0; i < 6; ++i) {  // row i of the Jacobian: p_i (1[i = j] - p_j)
    std::vector<double> pick(6, 0);
    pick[i] = 1;
    const auto g = grad(sum(softmax(row) * column(pick)), {row})[0].to_vector<double>();
    for (size_t j = 0; j < 6; ++j) EXPECT_NEAR(g[j], p[i] * ((i == j) - p[j]), 1e-12);
  }
}

TEST(Activation, SparsemaxProjectsOnTheSimplex) {
  const int64_t rows = 32, n = 7;
  const Tensor x = random({rows, n}, 4, -2, 2);
  const auto z = x.to_vector<double>(), p = sparsemax(x).to_vector<double>();
  int zeros = 0;
  for (int64_t r = 0; r < rows; ++r) {
    double total = 0, threshold = NAN;
    const auto at = [&](const std::vector<double>& v, int64_t k) {
      return v[static_cast<size_t>(r * n + k)];
    };
    for (int64_t k = 0; k < n; ++k) {
      total += at(p, k);
      if (at(p, k) > 0) threshold = at(z, k) - at(p, k);
    }
    EXPECT_NEAR(total, 1, 1e-9);
    for (int64_t k = 0; k < n; ++k) {  // the conditions of Karush, Kuhn and Tucker
      EXPECT_GE(at(p, k), 0);
      if (at(p, k) > 0)
        EXPECT_NEAR(at(z, k) - at(p, k), threshold, 1e-9);
      else
        EXPECT_LE(at(z, k), threshold + 1e-9);
      zeros += at(p, k) == 0;
    }
  }
  EXPECT_GT(zeros, 0);
}

TEST(Layer, FullyConnectedEqualsTheTripleLoop) {
  for (int64_t batch : {1, 7, 64}) {
    const Tensor x = random({batch, 13}, 5), w = random({5, 13}, 6), b = random({5}, 7);
    const auto layer = [](const Tensors& t) { return matmul(t[0], transpose(t[1])) + t[2]; };
    Tensors narrow;
    for (const Tensor& t : {x, w, b}) narrow.push_back(cast(t, DType::f32));
    const auto y = layer(narrow).to_vector<double>();
    const auto xv = x.to_vector<double>(), wv = w.to_vector<double>(), bv = b.to_vector<double>();
    for (int64_t i = 0; i < batch; ++i)
      for (int64_t o = 0; o < 5; ++o) {
        double s = bv[static_cast<size_t>(o)];
        for (int64_t k = 0; k < 13; ++k)
          s += xv[static_cast<size_t>(i * 13 + k)] * wv[static_cast<size_t>(o * 13 + k)];
        EXPECT_NEAR(y[static_cast<size_t>(i * 5 + o)], s, 1e-5);
      }
    const auto loss = [&](const Tensors& t) { return sum(square(layer(t))); };
    EXPECT_LE(gradient_error(loss, {x, w, b}), 1e-6);
  }
}

TEST(Loss, CrossEntropyIsItsTwoStepFormAndFinite) {
  const Tensor z = random({6, 5}, 8, -4, 4);
  const Tensor t = Tensor::from<int64_t>({0, 1, 2, 3, 4, 0}, {6});
  const Tensor y = one_hot(t, 5, DType::f64);
  const Tensor fused = cross_entropy(z, t), steps = mean(neg(sum(y * log(softmax(z)), {1})));
  EXPECT_NEAR(fused.item(), steps.item(), 1e-12);
  const auto g = grad(cross_entropy(z, t), {z})[0].to_vector<double>();
  const auto want = ((softmax(z) - y) / 6.0).to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], want[i], 1e-12);
  for (DType type : {DType::f32, DType::f64}) {
    const Tensor huge = cast(z * 2500.0, type);
    EXPECT_TRUE(std::isfinite(cross_entropy(huge, t).item()));
    for (double v : grad(cross_entropy(huge, t), {huge})[0].to_vector<double>())
      EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(Loss, SquaredErrorFollowsItsFormulaAndFitsALine) {
  const Tensor x = random({9}, 9), t = random({9}, 10);
  const auto xv = x.to_vector<double>(), tv = t.to_vector<double>();
  double want = 0;
  for (size_t i = 0; i < 9; ++i) want += (xv[i] - tv[i]) * (xv[i] - tv[i]) / 9;
  EXPECT_NEAR(mse_loss(x, t).item(), want, 1e-12);
  const auto g = grad(mse_loss(x, t), {x})[0].to_vector<double>();
  for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(g[i], 2 * (xv[i] - tv[i]) / 9, 1e-12);

  // Weight from height: 0.9 kg for each cm above 170, 68 kg there; noise of 2 kg.
  const Tensor height = random({400}, 11, -25, 25), noise = random({400}, 12, -2, 2);
  const Tensor weight = 0.9 * height + 68.0 + noise;
  eval(weight);
  Tensor w = Tensor::scalar(0, DType::f64), b = Tensor::scalar(0, DType::f64);
  for (int step = 0; step < 300; ++step) {
    const Tensors d = grad(mse_loss(w * height + b, weight), {w, b});
    w = stop_gradient(w - 0.004 * d[0]);
    b = stop_gradient(b - 0.1 * d[1]);
    eval({w, b});
  }
  EXPECT_NEAR(w.item(), 0.9, 0.009);
  EXPECT_NEAR(b.item(), 68, 0.68);
}

// ---- whole networks

struct Network {
  const char* name;
  std::function<Tensor(const Tensors&)> loss;
  Tensors parameters;
};

std::vector<Network> networks() {
  const Tensor x = random({6, 4}, 20), t = random({6, 3}, 21);
  const Tensor picture = random({2, 2, 6, 6}, 22);
  const Tensor labels = Tensor::from<int64_t>({0, 2, 1, 1, 0, 2}, {6});
  const Tensor two = Tensor::from<int64_t>({1, 0}, {2});
  const auto dense = [](const Tensor& in, const Tensor& w) { return matmul(in, w); };
  const Tensor a = random({4, 5}, 23), b = random({5, 3}, 24), k = random({3, 2, 3, 3}, 25);
  std::vector<Network> list;
  list.push_back({"linear regression",
                  [=](const Tensors& p) { return mse_loss(dense(x, p[0]), t); },
                  {random({4, 3}, 26)}});
  list.push_back({"softmax regression",
                  [=](const Tensors& p) { return cross_entropy(dense(x, p[0]), labels); },
                  {random({4, 3}, 27)}});
  list.push_back({"tanh MLP",
                  [=](const Tensors& p) { return mse_loss(dense(tanh(dense(x, p[0])), p[1]), t); },
                  {a, b}});
  list.push_back({"sigmoid MLP with biases",
                  [=](const Tensors& p) {
                    return cross_entropy(dense(sigmoid(dense(x, p[0]) + p[1]), p[2]) + p[3],
                                         labels);
                  },
                  {a, random({5}, 28), b, random({3}, 29)}});
  list.push_back({"residual MLP",
                  [=](const Tensors& p) {
                    const Tensor h = x + dense(softplus(dense(x, p[0])), p[1]);
                    return mse_loss(dense(h, p[2]), t);
                  },
                  {a, random({5, 4}, 30), random({4, 3}, 31)}});
  list.push_back({"auto-encoder",
                  [=](const Tensors& p) { return mse_loss(dense(tanh(dense(x, p[0])), p[1]), x); },
                  {random({4, 2}, 32), random({2, 4}, 33)}});
  list.push_back({"CNN",
                  [=](const Tensors& p) {
                    const Tensor h = tanh(conv2d(picture, p[0]));
                    return cross_entropy(dense(mean(h, {2, 3}), p[1]), two);
                  },
                  {k, random({3, 2}, 34)}});
  list.push_back({"CNN with average pooling and stride",
                  [=](const Tensors& p) {
                    ConvOptions o;
                    o.stride = {2, 2};
                    o.padding = {1, 1};
                    const Tensor h = avg_pool2d(silu(conv2d(picture, p[0], {}, o)), {3, 3});
                    return cross_entropy(dense(flatten(h, 1), p[1]), two);
                  },
                  {k, random({3, 2}, 35)}});
  list.push_back({"recurrent network, five steps",
                  [=](const Tensors& p) {
                    Tensor h = zeros({6, 5}, DType::f64);
                    for (int step = 0; step < 5; ++step)
                      h = tanh(dense(x * (0.5 + step), p[0]) + dense(h, p[1]));
                    return mse_loss(dense(h, p[2]), t);
                  },
                  {a, random({5, 5}, 36), b}});
  list.push_back(
      {"self-attention with layer normalisation",
       [=](const Tensors& p) {
         const Tensor h = layer_norm(x);
         const Tensor q = dense(h, p[0]), key = dense(h, p[1]), v = dense(h, p[2]);
         const Tensor y = x + dense(softmax(matmul(q, transpose(key))), v);
         return mse_loss(dense(y, p[3]), t);
       },
       {random({4, 4}, 37), random({4, 4}, 38), random({4, 4}, 39), random({4, 3}, 40)}});
  return list;
}

TEST(Backpropagation, TenWholeNetworks) {
  const std::vector<Network> list = networks();
  ASSERT_EQ(list.size(), 10u);
  for (const Network& n : list) EXPECT_LE(gradient_error(n.loss, n.parameters), 1e-5) << n.name;
}

TEST(Backpropagation, SecondOrderOfMlpAndCnn) {
  for (const Network& n : networks()) {
    const std::string name = n.name;
    if (name != "tanh MLP" && name != "CNN") continue;
    const auto penalty = [&](const Tensors& p) {
      Tensor s = Tensor::scalar(0, DType::f64);
      for (const Tensor& g : grad(n.loss(p), p)) s = s + sum(square(g));
      return s;
    };
    EXPECT_LE(gradient_error(penalty, n.parameters), 1e-5) << name;
  }
}

/// Learns XOR with 2-2-1 sigmoid units; true if all four answers are right.
bool learns_xor(uint64_t seed) {
  const Tensor x = Tensor::from<double>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const Tensor t = Tensor::from<double>({0, 1, 1, 0}, {4, 1});
  Tensors p = {random({2, 2}, seed, -2, 2), random({2}, seed + 1, -1, 1),
               random({2, 1}, seed + 2, -2, 2), random({1}, seed + 3, -1, 1)};
  const auto net = [&] { return sigmoid(matmul(tanh(matmul(x, p[0]) + p[1]), p[2]) + p[3]); };
  for (int step = 0; step < 400; ++step) {
    const Tensor y = net();
    const Tensors g = grad(neg(mean(t * log(y + 1e-12) + (1.0 - t) * log(1.0 - y + 1e-12))), p);
    for (size_t i = 0; i < p.size(); ++i) p[i] = stop_gradient(p[i] - 0.8 * g[i]);
    eval(p);
  }
  const auto y = net().to_vector<double>();
  return y[0] < 0.5 && y[1] > 0.5 && y[2] > 0.5 && y[3] < 0.5;
}

TEST(Backpropagation, ATwoTwoOneNetLearnsXorFromTwentySeeds) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    bool learnt = false;
    for (uint64_t restart = 0; restart < 10 && !learnt; ++restart)
      learnt = learns_xor(1000 * seed + 10 * restart);
    EXPECT_TRUE(learnt) << "seed " << seed;
  }
}

// ---- the library of operators

std::set<KernelName> all_kernels() {
  std::set<KernelName> all;
  for (const OpDef* op : all_ops()) {
    const Subject subject(*op);
    for (size_t i = 0; i < subject.samples().size(); ++i)
      for (DType type : {DType::f32, DType::f64, DType::bf16, DType::f16})
        for (bool reference : {false, true}) {
          try {
            const Tensors in = tensors_of(subject.inputs(i, type));
            for (auto& k : kernels_of(subject, subject.samples()[i], in, reference)) all.insert(k);
          } catch (const Error&) {  // not for this type; Mill/<op>.Forward judges that
          }
        }
  }
  return all;
}

TEST(OperatorLibrary, HasAThousandKernelsAndEveryBackendKernelHasATest) {
  const std::set<KernelName> all = all_kernels();
  EXPECT_GE(all.size(), 1000u);
  std::set<std::string_view> offered;
  for (const KernelEntry& e : cpu::kernels()) offered.insert(e.op);
  for (const OpDef* op : all_ops())
    if (op->kind == OpKind::elementwise) {
      EXPECT_TRUE(cpu::elementwise_supported(op->name)) << op->name;
      offered.insert(op->name);
    }
  for (const std::string_view op : offered)
    EXPECT_TRUE(lacks_units(op) || std::any_of(all.begin(), all.end(),
                                               [&](const KernelName& k) {
                                                 return std::get<0>(k) == op &&
                                                        std::get<2>(k) == "cpu";
                                               }))
        << "no sample of an op runs the backend's kernel of " << op;
}

}  // namespace
}  // namespace nacre::testing
