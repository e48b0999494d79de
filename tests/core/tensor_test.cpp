#include "nacre/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

TEST(Tensor, ComputesLazily) {
  const Tensor x = Tensor::from({1.f, 2.f, 3.f}, {3});
  const Tensor y = x * 2.0 + 1.0;
  EXPECT_FALSE(y.evaluated());
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{3, 5, 7}));
  EXPECT_TRUE(y.evaluated());
}

TEST(Tensor, NumbersGiveWayToTensors) {
  const Tensor d = Tensor::from({1.0, 2.0}, {2});
  EXPECT_EQ((d * 0.1).dtype(), DType::f64);
  EXPECT_EQ((d * 0.1).to_vector<double>()[0], 0.1);
  const Tensor i = Tensor::from<int64_t>({1, 2}, {2});
  EXPECT_EQ((i * 2).dtype(), DType::i64);
  EXPECT_EQ((i * 0.5).dtype(), DType::f32);
}

TEST(Tensor, ViewsShareMemoryAndNeedNoCopy) {
  const Tensor x = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  const Tensor t = transpose(x);
  eval(t);
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(matmul(x, t).to_vector<float>(), (std::vector<float>{14, 32, 32, 77}));
}

TEST(Grad, OfMatmulAndSum) {
  const Tensor x = Tensor::from({1.f, 2.f, 3.f, 4.f}, {2, 2});
  const Tensor w = Tensor::from({1.f, 0.f, -1.f, 2.f}, {2, 2});
  const Tensor y = sum(exp(matmul(x, w)) * 0.5);
  const Tensors g = grad(y, {w});
  eval({y, g[0]});
  const auto e = exp(matmul(x, w)).to_vector<float>();
  EXPECT_NEAR(g[0].to_vector<float>()[0], 0.5 * (e[0] * 1 + e[2] * 3), 1e-4);
}

TEST(Grad, SecondOrder) {
  const Tensor x = Tensor::from({0.5, -1.0}, {2});
  const Tensor g = grad(sum(exp(x) * x), {x})[0];
  const Tensor gg = grad(sum(g), {x})[0];
  EXPECT_NEAR(gg.to_vector<double>()[0], std::exp(0.5) * 2.5, 1e-12);
  EXPECT_NEAR(gg.to_vector<double>()[1], std::exp(-1.0) * 1, 1e-12);
}

TEST(Plan, AStepOfAScheduleCostsOneCompilation) {
  Tensor w = Tensor::from({1.f, 2.f}, {2});
  eval(w * 1.0 - 3.0);
  const auto before = plan_stats();
  for (int i = 0; i < 50; ++i) {
    w = stop_gradient(w - 0.01 * i * w);
    eval(w);
  }
  const auto after = plan_stats();
  EXPECT_LE(after.compilations + after.plain - before.compilations - before.plain, 1u);
}

}  // namespace
}  // namespace nacre
