// A gradient taken for the third time is made again without its rules; nothing else may show that.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/repeat.h"
#include "nacre/autograd.h"
#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr int kTimes = 5;  // recorded, recorded and noted, made again

/// What the cache says of the gradient of f at x, after `times` gradients.
GradientCache::Sight sight_after(const std::function<Tensor(const Tensor&)>& f, const Tensor& x,
                                 int times) {
  for (int k = 0; k < times; ++k) eval(grad(f(x), {x}));
  const Tensor y = f(x);
  std::vector<uint64_t> key;
  Ancestry a;
  a.find({y}, {x}, false);
  gradient_key(a, {y}, {x}, key);
  return GradientCache::find(key).sight;
}

TEST(Repeat, ValuesAndNumbersAreThoseOfTheDay) {
  for (int k = 0; k < kTimes; ++k) {
    const double a = 0.5 + k;
    const Tensor x = Tensor::from({a, 2 * a, -a}, {3});
    // d/dx (k x^3 + sin(x) x) and a number that changes, of a type that gives way
    const Tensor y = sum(static_cast<double>(k) * pow(x, 3.0) + sin(x) * x);
    const auto g = grad(y, {x})[0].to_vector<double>();
    const auto at = x.to_vector<double>();
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(g[i], 3 * k * at[i] * at[i] + std::cos(at[i]) * at[i] + std::sin(at[i]), 1e-12);
  }
}

TEST(Repeat, TheSecondOrderToo) {
  for (int k = 0; k < kTimes; ++k) {
    const double a = 0.3 * (k + 1);
    const Tensor x = Tensor::from({a, -a}, {2});
    const Tensor first = grad(sum(exp(x) * x), {x})[0];
    const auto second = grad(sum(square(first)), {x})[0].to_vector<double>();
    for (size_t i = 0; i < 2; ++i) {
      const double v = i ? -a : a, e = std::exp(v);
      EXPECT_NEAR(second[i], 2 * (e * v + e) * (e * v + 2 * e), 1e-10);
    }
  }
}

TEST(Repeat, WhatDependsOnValuesIsRecordedEachTime) {
  const auto f = [](const Tensor& x) {
    return sum(while_loop([](const Tensors& c) { return sum(c[0]) < 100.0; },
                          [](const Tensors& c) { return Tensors{c[0] * 2.0}; }, {x})[0]);
  };
  for (int k = 0; k < kTimes; ++k) {  // from 1, 7 doublings; from 2, 6; ...
    const Tensor x = Tensor::from({std::pow(2.0, k)}, {1});
    EXPECT_EQ(grad(f(x), {x})[0].item(), std::pow(2.0, 7 - k));
  }
  EXPECT_EQ(sight_after(f, Tensor::from({1.0}, {1}), 4), GradientCache::Sight::again);
  EXPECT_EQ(sight_after([](const Tensor& x) { return sum(tanh(x)); }, Tensor::from({1.0}, {1}), 4),
            GradientCache::Sight::recorded);
}

TEST(Repeat, InputsThatAreNotReachedAndPartsOfTheGraph) {
  for (int k = 0; k < kTimes; ++k) {
    const Tensor x = Tensor::from({1.0 + k, 2.0}, {2}), other = Tensor::from({3.0}, {1});
    const Tensor h = exp(x);
    const Tensors g = grad(sum(h * h), {h, other, x, h});
    EXPECT_NEAR(g[0].to_vector<double>()[0], 2 * std::exp(1.0 + k), 1e-9 * std::exp(1.0 + k));
    EXPECT_EQ(g[1].to_vector<double>(), std::vector<double>{0.0});
    EXPECT_NEAR(g[2].to_vector<double>()[1], 2 * std::exp(4.0), 1e-10);
    EXPECT_EQ(g[3].to_vector<double>(), g[0].to_vector<double>());
  }
}

TEST(Repeat, NodesSayWhereTheyComeFromAndPlansAreTheSame) {
  std::vector<std::string> places;
  uint64_t compilations = 0, plain = 0;
  const auto net = make_model("lenet5", "", Scope::init(Key(0), DType::f64));
  const Tensor x = cast(normal({4, 1, 32, 32}, Key(1)), DType::f64);
  const Tensor y = Tensor::from(std::vector<int64_t>{1, 2, 3, 4}, {4});
  eval(x);
  for (int k = 0; k < kTimes; ++k) {
    Context ctx = Context::train(Key(2));
    const Tensors g = grad(cross_entropy((*net)(x, ctx), y), values(net->trainable()));
    std::string all;
    for (const Node* n : as_recorded(topological(g)))
      if (n->op) all += n->op->name + (n->layer ? " " + *n->layer : "") + "\n";
    places.push_back(all);
    eval(g);
    if (k == 0) compilations = plan_stats().compilations, plain = plan_stats().plain;
  }
  for (int k = 1; k < kTimes; ++k) EXPECT_EQ(places[static_cast<size_t>(k)], places[0]);
  EXPECT_NE(places[0].find("conv_weight_grad conv1"), std::string::npos);
  EXPECT_EQ(plan_stats().compilations, compilations);
  EXPECT_EQ(plan_stats().plain, plain);
}

TEST(Repeat, CheckpointedPartsAreComputedAgain) {
  for (int k = 0; k < kTimes; ++k) {
    const Tensor x = Tensor::from({0.2 * k, 1.0}, {2}), w = Tensor::from({1.5 + k, -1.0}, {2});
    const Tensors y =
        checkpoint([&](const Tensors& t) { return Tensors{exp(t[0] * w) * t[0]}; }, {x});
    const Tensors g = grad(sum(y[0]), {x, w});
    const double a = 0.2 * k, b = 1.5 + k;
    EXPECT_NEAR(g[0].to_vector<double>()[0], std::exp(a * b) * (1 + a * b), 1e-10);
    EXPECT_NEAR(g[1].to_vector<double>()[0], std::exp(a * b) * a * a, 1e-10);
  }
}

}  // namespace
}  // namespace nacre
