// Max pooling in inference: what the pass "pooling" makes of it against the plain ops.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "nacre/ops.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

using Net = std::function<Tensors(const Tensor&)>;

/// Results, and steps of max_pool_values.
std::pair<std::vector<std::vector<float>>, int> pooled(const Net& net, const Tensor& x,
                                                       bool passes) {
  clear_plans();
  set_passes(passes);
  const Tensors warm = net(x);  // a plan that runs once has no passes
  eval(warm);
  set_profiling(true);
  const Tensors results = net(x);
  eval(results);
  std::pair<std::vector<std::vector<float>>, int> r;
  for (const ProfileLine& l : profile()) r.second += l.label.starts_with("max_pool_values");
  set_profiling(false);
  set_passes(true);
  for (const Tensor& t : results) r.first.push_back(t.to_vector<float>());
  return r;
}

/// Equal bits with and without passes.
void expect_pools(const Net& net, const Tensor& x, int pools, const std::string& what) {
  const auto [plain, none] = pooled(net, x, false);
  const auto [fast, made] = pooled(net, x, true);
  EXPECT_EQ(none, 0) << what;
  EXPECT_EQ(made, pools) << what;
  ASSERT_EQ(plain.size(), fast.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    ASSERT_EQ(plain[i].size(), fast[i].size()) << what;
    for (size_t k = 0; k < plain[i].size(); ++k) {
      const float a = plain[i][k], b = fast[i][k];
      ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)))
          << what << ", result " << i << ", number " << k << ": " << a << " and " << b;
    }
  }
}

TEST(PoolingPass, BiasAndActivationComeAfterIt) {
  const Tensor b = normal({3, 1, 1}, Key(2));
  eval(b);
  for (const Shape& size : {Shape{2, 3, 28, 28}, {1, 3, 10, 11}, {1, 3, 5, 40}}) {
    const Tensor x = normal(size, Key(1));
    eval(x);
    expect_pools([&](const Tensor& t) { return Tensors{-max_pool2d(relu(t + b), {2})[0]}; }, x, 1,
                 "bias and ReLU");
    expect_pools([&](const Tensor& t) { return Tensors{-max_pool2d(relu(b + t * 2.0), {2})[0]}; },
                 x, 1, "bias on the left");
    expect_pools(
        [&](const Tensor& t) {
          return Tensors{-max_pool2d(relu(t), {3}, {.stride = {2}, .padding = {1}})[0]};
        },
        x, 1, "padding");
    expect_pools(
        [&](const Tensor& t) { return Tensors{-max_pool2d(t - b, {3}, {.stride = {1}})[0]}; }, x, 1,
        "nothing that is moved");
    // What the sums are added to differs from place to place.
    expect_pools([&](const Tensor& t) { return Tensors{-max_pool2d(relu(t + t * t), {2})[0]}; }, x,
                 1, "a sum of two planes");
    const Net twice = [&](const Tensor& t) {
      const Tensor y = relu(t + b);
      return Tensors{-max_pool2d(y, {2})[0], y};
    };
    expect_pools(twice, x, 1, "read by others");
    expect_pools([&](const Tensor& t) { return max_pool2d(relu(t + b), {2}); }, x, 0,
                 "places are read");
  }
}

TEST(PoolingPass, WindowsOfPaddingAloneAndNaN) {
  const Tensor x = normal({1, 2, 4, 4}, Key(1));
  const Tensor holes = where(x > 0.5, NAN, where(x < -0.5, -INFINITY, x));
  eval({x, holes});
  expect_pools(
      [](const Tensor& t) {
        return Tensors{relu(max_pool2d(relu(t), {2}, {.stride = {2}, .padding = {0, 0, 3, 3}})[0])};
      },
      x, 1, "padding alone");
  expect_pools(
      [](const Tensor& t) { return Tensors{-max_pool2d(relu(t), {2}, {.stride = {1}})[0]}; }, holes,
      1, "NaN and infinity");
}

}  // namespace
}  // namespace nacre
