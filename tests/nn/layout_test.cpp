// Networks with their channels in blocks give what they give without: random ones, each compiled as
// a Program and computed by reference kernels in f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "nacre/program.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

/// A random picture network of what convolutional nets are made of; the same calls for every type
/// of the input.
class RandomNet {
 public:
  /// training: norms take the statistics of the batch.
  explicit RandomNet(uint64_t seed, bool training = false) : training_(training), seed_(seed) {}

  Tensors parameters;  ///< of the last call

  Tensor operator()(const Tensor& picture) {
    random_.seed(seed_);
    made_ = 0;
    parameters.clear();
    Tensor x = convolve(picture, channels(), pick({1, 3, 5}), 1, 1);
    Tensors kept = {x};
    for (int i = 0; i < 7; ++i) {
      x = layer(x, kept);
      kept.push_back(x);
    }
    return pick({0, 1}) ? mean(x, {2, 3}) : x;
  }

 private:
  int64_t pick(std::initializer_list<int64_t> of) {
    return *(of.begin() + static_cast<ptrdiff_t>(random_() % of.size()));
  }
  int64_t channels() { return pick({8, 16, 24, 32, 40, 48}); }
  Tensor values(const Shape& shape, double low, double high, DType type) {
    parameters.push_back(cast(uniform(shape, Key(seed_ * 100 + ++made_), low, high), type));
    if (training_) eval(parameters.back());  // else constants of the network
    return parameters.back();
  }
  Tensor convolve(const Tensor& x, int64_t outs, int64_t kernel, int64_t stride, int64_t groups) {
    const double bound = 1.5 / std::sqrt(static_cast<double>(x.size(1) / groups * kernel * kernel));
    const Tensor w = values({outs, x.size(1) / groups, kernel, kernel}, -bound, bound, x.dtype());
    const Tensor bias = pick({0, 1}) ? values({outs}, -1, 1, x.dtype()) : Tensor();
    return conv2d(x, w, bias, {.stride = {stride}, .padding = {kernel / 2}, .groups = groups});
  }
  Tensor activate(const Tensor& x) {
    switch (random_() % 7) {
      case 0:
        return relu(x);
      case 1:
        return relu6(x);
      case 2:
        return silu(x);
      case 3:
        return hard_swish(x);
      case 4:
        return sigmoid(x);
      case 5:
        return exp(x * 0.3);
      default:
        return x;
    }
  }
  Tensor normalise(const Tensor& x) {
    const int64_t c = x.size(1);
    const auto v = [&](double low, double high) { return values({c}, low, high, x.dtype()); };
    if (training_) return batch_norm_train(x, v(0.5, 2), v(-1, 1))[0];
    return batch_norm_infer(x, v(0.5, 2), v(-1, 1), v(-1, 1), v(0.5, 2));
  }
  Tensor layer(const Tensor& x, const Tensors& kept) {
    const int64_t c = x.size(1);
    switch (random_() % 9) {
      case 0:
        return activate(convolve(x, c, 3, 1, c));  // depthwise
      case 1:
        return activate(normalise(convolve(x, channels(), 3, 1, 1)));
      case 2:
        return activate(convolve(x, channels(), 1, 1, 1));
      case 3:
        return activate(normalise(x));
      case 4: {  // residual
        const Tensor y = convolve(activate(convolve(x, 32, 3, 1, 1)), c, 1, 1, 1);
        return pick({0, 1}) ? relu(y + x) : activate(x + y);
      }
      case 5: {  // of an earlier layer, which others read as well
        const Tensor& y = kept[random_() % kept.size()];
        return y.shape() == x.shape() ? x + activate(y) : concat({x, activate(x)}, 1);
      }
      case 6: {  // squeeze and excite
        const Tensor s = relu(convolve(mean(x, {2, 3}, true), 16, 1, 1, 1));
        return x * sigmoid(convolve(s, c, 1, 1, 1));
      }
      case 7:
        if (x.size(2) < 4) return x;
        return pick({0, 1}) ? max_pool2d(x, {3}, {.stride = {2}, .padding = {1}})[0]
                            : avg_pool2d(x, {3}, {.stride = {2}, .padding = {1}});
      default:
        return concat({x, convolve(x, 16, 3, 1, 1), activate(x)}, 1);
    }
  }
  bool training_;
  uint64_t seed_, made_ = 0;
  std::mt19937_64 random_;
};

double largest_difference(const std::vector<double>& want, const std::vector<double>& got) {
  double d = 0, most = 1e-30;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!(std::fabs(got[i]) < 1e30)) return INFINITY;
    d = std::max(d, std::fabs(want[i] - got[i]));
    most = std::max(most, std::fabs(want[i]));
  }
  return d / most;
}

int count(const char* op) {
  int n = 0;
  for (const ProfileLine& l : profile()) n += l.label.starts_with(op);
  return n;
}

TEST(Layout, RandomNetworksKeepTheirValues) {
  int blocked = 0;
  double worst = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Shape size = {1 + static_cast<int64_t>(seed % 3), 1 + static_cast<int64_t>(seed % 4), 17,
                        14};
    const Tensor x = normal(size, Key(seed));
    const Tensor want = RandomNet(seed)(cast(x, DType::f64));
    RandomNet net(seed);
    const Program p([&](const Tensors& in) { return Tensors{net(in[0])}; }, {x});
    set_profiling(true);
    const Tensor got = p({x})[0];
    blocked += count("conv_blocks") > 0;
    set_profiling(false);
    ASSERT_EQ(got.shape(), want.shape());
    const double d = largest_difference(want.to_vector<double>(), got.to_vector<double>());
    EXPECT_LT(d, 2e-5) << "seed " << seed;
    worst = std::max(worst, d);
  }
  EXPECT_GT(blocked, 50);  // the pass did something
  std::printf("60 networks, largest relative difference %.1e\n", worst);
}

double length(const Tensor& t) { return std::sqrt(sum(square(cast(t, DType::f64))).item()); }

TEST(Layout, RandomNetworksKeepTheirGradients) {
  int blocked = 0;
  double worst = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Shape size = {2 + static_cast<int64_t>(seed % 3), 1 + static_cast<int64_t>(seed % 4), 17,
                        14};
    const auto gradients = [&](DType type) {
      RandomNet net(seed, true);
      const Tensor x = cast(normal(size, Key(seed)), type);
      eval(x);
      const Tensor y = net(x);
      Tensors of = net.parameters;
      of.push_back(x);
      Tensors g = grad(sum(y * cast(normal(y.shape(), Key(seed + 1000)), type)), of);
      g.push_back(y);
      eval(g);
      return g;
    };
    const Tensors want = gradients(DType::f64);
    set_profiling(true);
    const Tensors got = gradients(DType::f32);
    blocked += count("conv_blocks_weight_grad") > 0;
    set_profiling(false);
    ASSERT_EQ(got.size(), want.size());
    // Lengths of differences: a ReLU that changes sides by rounding changes few numbers much. Of a
    // bias before a norm the gradient is 0, so what is small beside the others is measured by them.
    // Network 57 makes 1.5e-4 of rounding in any layout; a wrong rule makes 0.1 and more.
    double longest = 0;
    for (const Tensor& t : want) longest = std::max(longest, length(t));
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].shape(), want[i].shape());
      const double d =
          length(want[i] - cast(got[i], DType::f64)) / std::max(length(want[i]), 1e-2 * longest);
      EXPECT_LT(d, 5e-3) << "seed " << seed << ", gradient " << i << " of " << got.size();
      worst = std::max(worst, d);
    }
  }
  EXPECT_GT(blocked, 30);
  std::printf("60 networks, largest relative difference %.1e\n", worst);
}

TEST(Layout, OnlyTheEdgesAreReordered) {
  const auto weight = [](int64_t outs, int64_t ins, uint64_t key) {
    return normal({outs, ins, 3, 3}, Key(key)) * 0.1;
  };
  const Tensor w[] = {weight(32, 3, 1), weight(32, 32, 2), weight(24, 32, 3)}, b = ones({32});
  eval({w[0], w[1], w[2], b});
  const Tensor x = normal({1, 3, 16, 16}, Key(4));
  eval(x);
  const Program p(
      [&](const Tensors& in) {
        const ConvOptions same = {.padding = {1}};
        const Tensor y = relu(conv2d(in[0], w[0], b, same));
        return Tensors{relu6(conv2d(relu(conv2d(y, w[1], b, same) + y), w[2], {}, same))};
      },
      {x});
  set_profiling(true);
  p({x});
  EXPECT_EQ(profile().size(), 4u);  // three convolutions with all that follows them, and the end
  EXPECT_EQ(count("conv_blocks"), 3);
  EXPECT_EQ(count("from_blocks"), 1);
  set_profiling(false);
}

// The library's ReLU makes zeros of NaN; then a loss stays finite while the weights do not.
TEST(Layout, NaNStaysWhereWeightsChange) {
  std::vector<float> values(2 * 16 * 9 * 9, 0.5f);
  values[688] = NAN;
  const Tensor x = Tensor::from(values, {2, 16, 9, 9});
  for (const int64_t kernel : {1, 3})
    for (const int64_t stride : {1, 2}) {
      const Tensor w = normal({32, 16, kernel, kernel}, Key(1));
      eval({x, w});
      const ConvOptions window = {.stride = {stride}, .padding = {kernel / 2}};
      const auto net = [&] { return conv2d(x, w, {}, window); };
      const auto holes = [](const Tensor& y) {
        const auto v = y.to_vector<float>();
        return std::count_if(v.begin(), v.end(), [](float e) { return std::isnan(e); });
      };
      const auto without = holes(net());
      EXPECT_GT(without, 0);
      for (const Tensor& y : {relu(net()), relu6(net())}) EXPECT_EQ(holes(y), without) << kernel;
    }
}

/// Sums in double of the products of f32 numbers, as an oracle for Winograd's form.
TEST(Layout, WinogradsErrorIsBounded) {
  for (const auto& [channels, size] : {std::pair{64, 56}, {128, 28}, {256, 14}, {512, 7}}) {
    const int64_t c = channels, s = size;
    const Tensor x = normal({4, c, s, s}, Key(1)), w = normal({c, c, 3, 3}, Key(2));
    eval({x, w});
    const Program p(
        [&](const Tensors& in) { return Tensors{conv2d(in[0], w, {}, {.padding = {1}})}; }, {x});
    set_profiling(true);
    const auto got = p({x})[0].to_vector<double>();
    bool winograd = false;
    for (const ProfileLine& l : profile())
      winograd = winograd || l.kernel.find("wino") != std::string::npos;
    set_profiling(false);
    // Every 97th result: all of them would take the test a minute.
    const auto xs = x.to_vector<double>(), ws = w.to_vector<double>();
    double square = 0, wrong = 0, worst = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < static_cast<int64_t>(got.size()); i += 97, ++n) {
      const int64_t col = i % s, row = i / s % s, out = i / (s * s) % c, b = i / (s * s * c);
      double sum = 0;
      for (int64_t k = 0; k < c; ++k)
        for (int64_t dy = 0; dy < 3; ++dy)
          for (int64_t dx = 0; dx < 3; ++dx) {
            const int64_t h = row + dy - 1, v = col + dx - 1;
            if (h < 0 || h >= s || v < 0 || v >= s) continue;
            sum += xs[static_cast<size_t>(((b * c + k) * s + h) * s + v)] *
                   ws[static_cast<size_t>(((out * c + k) * 3 + dy) * 3 + dx)];
          }
      const double d = std::fabs(sum - got[static_cast<size_t>(i)]);
      square += sum * sum;
      wrong += d * d;
      worst = std::max(worst, d);
    }
    const double rms = std::sqrt(square / static_cast<double>(n));
    std::printf("%d channels of %dx%d%s: rms error %.1e, largest %.1e of the rms value\n", channels,
                size, size, winograd ? " (Winograd)" : "", std::sqrt(wrong / double(n)) / rms,
                worst / rms);
    EXPECT_LT(std::sqrt(wrong / static_cast<double>(n)) / rms, 2e-6);
    EXPECT_LT(worst / rms, 2e-5);
  }
}

}  // namespace
}  // namespace nacre
