// Inverted bottlenecks as one node (pass "bottlenecks") give what their two convolutions give.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/parallel.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "nacre/program.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

struct Bottleneck {
  int64_t batch, height, width, channels, expanded, kernel, stride;
  Ints padding;
  std::function<Tensor(const Tensor&)> activate;
  bool read_twice = false;  ///< what lies between the convolutions

  Tensor input() const { return normal({batch, channels, height, width}, Key(1)); }

  /// Of both convolutions, weights and bias.
  Tensors weights() const {
    const double few = 1 / std::sqrt(static_cast<double>(channels));
    Tensors w = {normal({expanded, channels, 1, 1}, Key(2)) * few, normal({expanded}, Key(3)),
                 normal({expanded, 1, kernel, kernel}, Key(4)) * 0.3, normal({expanded}, Key(5))};
    eval(w);
    return w;
  }

  Tensor operator()(const Tensor& x, const Tensors& weights) const {
    const auto w = [&](size_t i) { return cast(weights[i], x.dtype()); };
    const Tensor wide = activate(conv2d(x, w(0), w(1)));
    const Tensor y = activate(
        conv2d(wide, w(2), w(3), {.stride = {stride}, .padding = padding, .groups = expanded}));
    return read_twice ? mean(y) + mean(wide) : y;
  }
};

/// Compares with f64; returns how many nodes of the pass ran.
int check(const Bottleneck& b, const std::string& what) {
  const Tensor x = b.input();
  eval(x);
  const Tensors weights = b.weights();
  const auto want = b(cast(x, DType::f64), weights).to_vector<double>();
  const Program p([&](const Tensors& in) { return Tensors{b(in[0], weights)}; }, {x});
  set_profiling(true);
  const auto got = p({x})[0].to_vector<double>();
  int made = 0;
  for (const ProfileLine& l : profile()) made += l.label.starts_with("pointwise_depthwise");
  set_profiling(false);
  EXPECT_EQ(want.size(), got.size()) << what;
  for (size_t i = 0; i < want.size() && i < got.size(); ++i)
    if (!(std::fabs(want[i] - got[i]) <= 2e-5 * (1 + std::fabs(want[i])))) {
      ADD_FAILURE() << what << ": number " << i << " is " << got[i] << ", not " << want[i];
      break;
    }
  return made;
}

Tensor identity_of(const Tensor& x) { return x; }

TEST(BottlenecksPass, GivesWhatTwoConvolutionsGive) {
  const int threads = num_threads();
  int made = 0;
  for (const int t : {1, 3}) {
    set_num_threads(t);
    clear_plans();
    const auto name = [&](const char* n) { return cat({n, ", ", t, " threads"}); };
    made += check({1, 14, 14, 16, 96, 3, 1, {1}, relu6}, name("relu6"));
    made += check({2, 33, 29, 24, 144, 3, 2, {1}, relu6}, name("stride 2"));
    made += check({1, 15, 16, 40, 80, 5, 1, {2}, silu}, name("silu, 5x5"));
    made += check({3, 9, 8, 32, 48, 5, 2, {2}, silu}, name("odd number of blocks"));
    made += check({1, 7, 7, 16, 40, 3, 1, {1}, relu}, name("channels that fill no block"));
    made += check({1, 8, 21, 16, 32, 3, 2, {0, 0, 1, 1}, identity_of}, name("padding after"));
    made += check({1, 12, 11, 16, 32, 3, 1, {0}, relu}, name("no padding"));
    made += check({1, 5, 4, 16, 32, 5, 1, {4}, relu}, name("more padding than rows"));
    made += check({1, 90, 3, 16, 16, 3, 1, {1}, relu}, name("bands"));
  }
  set_num_threads(threads);
  if (made == 0) GTEST_SKIP() << "blocks are no vectors here";
  EXPECT_EQ(made, 18);
}

TEST(BottlenecksPass, LeavesWhatOthersReadAndOtherConvolutions) {
  EXPECT_EQ(check({1, 8, 8, 16, 32, 3, 1, {1}, relu, true}, "read twice"), 0);
  EXPECT_EQ(check({1, 20, 20, 16, 32, 3, 3, {1}, relu}, "stride 3"), 0);
}

/// Of the kernel, through weights that change nothing.
TEST(BottlenecksPass, SiluIsWithinItsBound) {
  constexpr int64_t kChannels = 16, kSide = 250;
  std::vector<float> numbers;
  for (int64_t i = 0; i < kChannels * kSide * kSide; ++i)
    numbers.push_back(static_cast<float>(static_cast<double>(i - 500000) * 2e-4));  // to +-100
  const Tensor x = Tensor::from(numbers, {1, kChannels, kSide, kSide}), w1 = eye(kChannels),
               w2 = ones({kChannels, 1, 1, 1}), none = zeros({kChannels});
  const Tensor first = reshape(w1, {kChannels, kChannels, 1, 1});
  eval({x, first, w2, none});
  const Program p(
      [&](const Tensors& in) {
        return Tensors{conv2d(silu(conv2d(in[0], first, none)), w2, none, {.groups = kChannels})};
      },
      {x});
  const auto got = p({x})[0].to_vector<float>();
  double worst = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double v = numbers[i], want = v / (1 + std::exp(-v));
    const double error = std::fabs(got[i] - want);
    if (error > 1e-35) worst = std::max(worst, error / std::fabs(want));
  }
  EXPECT_LT(worst, 1e-6);
  std::printf("largest relative error %.1e\n", worst);
}

}  // namespace
}  // namespace nacre
