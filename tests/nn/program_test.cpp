#include "nacre/program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

/// Convolution, batch norm with statistics that are not 0 and 1, ReLU, twice, the first with
/// groups.
struct TwoLayers : Module {
  explicit TwoLayers(const Scope& s)
      : Module(s),
        conv1(s / "conv1", {4, 8, 3, 1, 1, 1, 2, false}),
        norm1(s / "norm1", {8}),
        conv2(s / "conv2", {8, 6, 3}),
        norm2(s / "norm2", {6}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor a = relu(norm1(conv1(x, ctx), ctx));
    return relu(norm2(conv2(a, ctx), ctx));
  }
  Conv2d conv1;
  BatchNorm norm1;
  Conv2d conv2;
  BatchNorm norm2;
};

std::unique_ptr<TwoLayers> net() {
  auto n = std::make_unique<TwoLayers>(Scope::init(Key(1)));
  uint64_t seed = 10;
  for (Variable v : n->variables())
    if (v.name().find("norm") != std::string::npos) {
      v.set(uniform(v.value().shape(), Key(++seed), 0.5, 2));
      eval(v.value());
      v.commit();
    }
  return n;
}

Tensor direct(TwoLayers& n, const Tensor& x) {
  NoGrad guard;
  Context ctx = Context::eval();
  Tensor y = n(x, ctx);
  eval(y);
  return y;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double d = 0, most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    d = std::max(d, std::fabs(x[i] - y[i]));
    most = std::max(most, std::fabs(x[i]));
  }
  return d / most;
}

TEST(Program, EqualsTheModel) {
  const auto n = net();
  const Program p = Program::of(*n, {2, 4, 12, 11});
  for (uint64_t seed : {1, 2, 3}) {
    const Tensor x = normal({2, 4, 12, 11}, Key(seed));
    const Tensors y = p({x});
    ASSERT_EQ(y.size(), 1u);
    EXPECT_LT(largest_difference(direct(*n, x), y[0]), 2e-6);
  }
}

TEST(Program, HasNoBatchNormLeft) {
  const auto n = net();
  const Program p = Program::of(*n, {2, 4, 12, 11});
  const Tensor x = normal({2, 4, 12, 11}, Key(1));
  eval(x);
  set_profiling(true);
  p({x});
  const auto lines = profile();
  set_profiling(false);
  int convolutions = 0;
  for (const ProfileLine& l : lines) {
    EXPECT_EQ(l.label.find("batch_norm"), std::string::npos) << l.label;
    EXPECT_EQ(l.label.find("mul"), std::string::npos) << l.label;
    if (l.label.rfind("conv ", 0) == 0) {
      ++convolutions;
      EXPECT_EQ(l.layer.rfind("conv", 0), 0u) << l.layer;
    }
  }
  EXPECT_EQ(convolutions, 2);
}

TEST(Program, KeepsTheWeightsThatItWasMadeWith) {
  const auto n = net();
  const Program p = Program::of(*n, {1, 4, 9, 9});
  const Tensor x = normal({1, 4, 9, 9}, Key(1));
  const auto before = p({x})[0].to_vector<float>();
  for (Variable v : n->parameters()) {
    v.set(v.value() * 2.0);
    eval(v.value());
    v.commit();
  }
  EXPECT_EQ(p({x})[0].to_vector<float>(), before);
  EXPECT_GT(largest_difference(direct(*n, x), p({x})[0]), 0.1);
}

TEST(Program, ServesSeveralThreads) {
  const auto n = net();
  const Program p = Program::of(*n, {1, 4, 9, 9});
  Tensors xs;
  std::vector<std::vector<float>> alone;
  for (uint64_t i = 0; i < 4; ++i) {
    xs.push_back(normal({1, 4, 9, 9}, Key(i)));
    alone.push_back(p({xs.back()})[0].to_vector<float>());
  }
  std::vector<std::vector<float>> together(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) together[i] = p({xs[i]})[0].to_vector<float>();
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(together, alone);
}

TEST(Program, TakesViewsAndGivesInputsAndConstantsBack) {
  const Tensor c = Tensor::from({1.f, 2.f}, {2});
  const Program p(
      [&](const Tensors& in) {
        return Tensors{in[0], transpose(in[0]), c, in[0] + in[1]};
      },
      {zeros({2, 3}), zeros({2, 3})});
  const Tensor a = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2});
  const Tensors y = p({transpose(a), transpose(a)});
  EXPECT_EQ(y[0].to_vector<int>(), (std::vector<int>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(y[1].to_vector<int>(), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(y[2].to_vector<int>(), (std::vector<int>{1, 2}));
  EXPECT_EQ(y[3].to_vector<int>(), (std::vector<int>{2, 6, 10, 4, 8, 12}));
}

TEST(Program, SaysWhatDoesNotFit) {
  const Program p([](const Tensors& in) { return Tensors{exp(in[0])}; }, {zeros({2, 3})});
  const auto message = [&](const Tensors& in) -> std::string {
    try {
      p(in);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message({}).find("takes 1 inputs, got 0"), std::string::npos);
  EXPECT_NE(message({zeros({3, 2})}).find("is f32 3x2, it was made for f32 2x3"),
            std::string::npos);
  EXPECT_NE(message({Tensor()}).find("undefined"), std::string::npos);
}

}  // namespace
}  // namespace nacre
