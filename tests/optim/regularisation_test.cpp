// Penalties and proximal steps against solutions that are known otherwise.
#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

/// 60 observations of 20 variables, of which five matter.
struct Regression {
  static constexpr size_t n = 60, k = 20;
  std::vector<double> x, y;
  Regression() {
    Rng rng{Key(4)};
    for (size_t i = 0; i < n * k; ++i) x.push_back(rng.normal());
    for (size_t i = 0; i < n; ++i) {
      double v = 0.3 * rng.normal();
      for (size_t j = 0; j < 5; ++j) v += (j % 2 ? -1.5 : 1.0) * x[i * k + j];
      y.push_back(v);
    }
  }
};

/// Minimises |y - X w|^2 / 2n + lambda |w|_1, a coordinate at a time.
std::vector<double> lasso(const Regression& r, double lambda) {
  std::vector<double> w(r.k, 0.0), rest = r.y;
  for (int sweep = 0; sweep < 2000; ++sweep)
    for (size_t j = 0; j < r.k; ++j) {
      double dot = 0, square = 0;
      for (size_t i = 0; i < r.n; ++i) {
        const double v = r.x[i * r.k + j];
        dot += v * (rest[i] + v * w[j]);
        square += v * v;
      }
      const double n = static_cast<double>(r.n);
      const double next =
          std::copysign(std::max(0.0, std::fabs(dot / n) - lambda), dot) / (square / n);
      for (size_t i = 0; i < r.n; ++i) rest[i] += r.x[i * r.k + j] * (w[j] - next);
      w[j] = next;
    }
  return w;
}

TEST(L1, ProximalStepsGiveTheLassoSolutionWithExactZeros) {
  const Regression r;
  const double lambda = 0.1, lr = 0.2;
  const auto want = lasso(r, lambda);
  const Scope s = Scope::init(Key(1), DType::f64);
  const Variable w = s.parameter("w", {20, 1}, init::normal());
  const Tensor x = Tensor::from(r.x, {60, 20}), y = Tensor::from(r.y, {60, 1});
  SGD optimizer({w}, {.lr = lr});
  for (int i = 0; i < 1000; ++i) {
    const Tensor loss = 0.5 * mean(square(matmul(x, w.value()) - y));
    optimizer.step(grad(loss, {w.value()}));
    proximal_l1({w}, lr * lambda);
    s.state()->commit();
  }
  const auto got = w.value().to_vector<double>();
  int zeros = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 1e-5) << i;
    EXPECT_EQ(got[i] == 0, want[i] == 0) << i;
    zeros += got[i] == 0;
  }
  EXPECT_GE(zeros, 8);
  EXPECT_LE(zeros, 15);
}

TEST(L0, ProximalStepKeepsWhatIsWorthItsPrice) {
  const Scope s = Scope::init(Key(1), DType::f64);
  Variable w = s.parameter("w", {6}, init::normal());
  const std::vector<double> from = {-2, -0.9, -0.1, 0.3, 0.95, 3};
  w.set(Tensor::from(from, {6}));
  const double price = 0.4;  // argmin (v - w)^2 / 2 + price [v != 0]
  proximal_l0({w}, std::sqrt(2 * price));
  s.state()->commit();
  const auto got = w.value().to_vector<double>();
  for (size_t i = 0; i < from.size(); ++i)
    EXPECT_EQ(got[i], from[i] * from[i] / 2 > price ? from[i] : 0) << i;
}

TEST(L2, EqualsDecoupledDecayUnderPlainSgd) {
  const Scope s = Scope::init(Key(2), DType::f64);
  const Variable decayed = s.parameter("decayed", {6}, init::normal());
  const Variable penalised = s.parameter(
      "penalised", {6}, [&](const Shape&, const Key&) { return contiguous(decayed.value()); });
  auto want = decayed.value().to_vector<double>();
  const double lr = 0.1, decay = 0.3;
  SGD a({decayed}, {.lr = lr, .weight_decay = decay}), b({penalised}, {.lr = lr});
  const auto loss = [](const Tensor& p) { return sum(sin(p) * p); };
  for (int i = 0; i < 50; ++i) {
    a.step(grad(loss(decayed.value()), {decayed.value()}));
    b.step(grad(loss(penalised.value()) + penalty({penalised}, 0, decay), {penalised.value()}));
    s.state()->commit();
    // Decoupled: the weight shrinks by itself, the gradient is that of the loss alone.
    for (double& p : want) p = p * (1 - lr * decay) - lr * (std::cos(p) * p + std::sin(p));
    for (const Variable& v : {decayed, penalised}) {
      const auto got = v.value().to_vector<double>();
      for (size_t k = 0; k < want.size(); ++k) ASSERT_NEAR(got[k], want[k], 1e-12) << "step " << i;
    }
  }
}

struct TwoLayers : Module {
  explicit TwoLayers(const Scope& s)
      : Module(s), conv(s / "conv", {2, 4, 3}), fc(s / "fc", {4 * 4 * 4, 5}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    return fc(flatten(relu(conv(x, ctx)), 1), ctx);
  }
  Conv2d conv;
  Linear fc;
};

TEST(L0, GatesFollowTheHardConcreteDistribution) {
  TwoLayers net(Scope::init(Key(3)));
  L0Gates gates(net, {"fc", "conv"}, {.open = 0.7});
  const Tensor x = normal({1, 2, 6, 6}, Key(4));
  Context off = Context::eval();
  const Tensor want = net(x, off);
  double open = 0, mean_of = 0, count = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    NoGrad guard;
    Context ctx = Context::train(Key(i));
    ctx.taps["conv"] = {};
    gates.attach(ctx);
    net(x, ctx);
    const auto gated = ctx.taps["conv"].to_vector<float>();
    Context bare = Context::eval();
    const auto whole = net.conv(x, bare).to_vector<float>();
    for (size_t c = 0; c < 4; ++c) {
      const double g = gated[c * 16] / whole[c * 16];
      ASSERT_GE(g, 0);
      ASSERT_LE(g, 1 + 1e-6);
      for (size_t k = 0; k < 16; ++k)  // one gate a channel
        ASSERT_NEAR(gated[c * 16 + k], g * whole[c * 16 + k], 1e-5);
      open += g != 0;
      mean_of += g;
      ++count;
    }
  }
  EXPECT_NEAR(open / count, 0.7, 0.02);
  // The mean by numeric integration over the noise.
  double expected = 0;
  const double logit = std::log(0.7 / 0.3) + 2.0 / 3 * std::log(0.1 / 1.1);
  for (int i = 0; i < 10000; ++i) {
    const double u = (i + 0.5) / 10000;
    const double s = 1 / (1 + std::exp(-(std::log(u / (1 - u)) + logit) * 1.5));
    expected += std::min(1.0, std::max(0.0, s * 1.2 - 0.1)) / 10000;
  }
  EXPECT_NEAR(mean_of / count, expected, 0.02);
  EXPECT_NEAR(gates.expected_weights().item(), 0.7 * (4 * 2 * 9 + 5 * 64), 1e-3);
  EXPECT_THROW(L0Gates(net, {"conv3"}, {}), Error);
  EXPECT_THROW(L0Gates(net, {"fc"}, {.open = 1}), Error);
}

}  // namespace
}  // namespace nacre
