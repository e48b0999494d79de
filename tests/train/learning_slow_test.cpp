// Claims about learning, on the shipped digits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "train/digits.h"

namespace nacre {
namespace {

TEST(Dropout, MeansRatesAndSeeds) {
  struct Net : Module {
    explicit Net(const Scope& s)
        : Module(s),
          first(s / "first", {20, 50, true, init::uniform(0, 1)}),
          drop(s / "drop", 0.3),
          last(s / "last", {50, 4, true, init::uniform(0, 1)}) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      return last(drop(first(x, ctx), ctx), ctx);
    }
    Linear first;
    Dropout drop;
    Linear last;
  } net(Scope::init(Key(1)));
  NoGrad guard;
  const int64_t n = 10000;
  const Tensor x = uniform({1, 20}, Key(2)), rows = contiguous(expand(x, {n, 20}));
  const auto run = [&](uint64_t seed, Tensor& dropped) {
    Context ctx = Context::train(Key(seed));
    ctx.taps["drop"] = {};
    const Tensor y = net(rows, ctx);
    dropped = ctx.taps["drop"];
    return y;
  };
  Tensor dropped, again, other;
  const Tensor y = run(3, dropped);
  Context eval_mode = Context::eval();
  const auto got = mean(y, {0}).to_vector<float>(), want = net(x, eval_mode).to_vector<float>();
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], want[i], 0.02 * want[i]);
  const double zeros = mean(cast(eq(dropped, 0.0), DType::f32)).item();
  EXPECT_NEAR(zeros, 0.3, 0.01);
  run(3, again);
  EXPECT_EQ(dropped.to_vector<float>(), again.to_vector<float>());
  run(4, other);
  EXPECT_NE(dropped.to_vector<float>(), other.to_vector<float>());
}

/// How much better a net does on what it was trained on, mean of 3 seeds.
struct Gap {
  double accuracy = 0, loss = 0;
};
Gap gap(const std::string& dropout) {
  Gap g;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const test::Digits d = test::digits(200, seed);
    test::Fit fit;
    fit.model = "mlp";
    fit.options = "in=64 hidden=2048 dropout=" + dropout;
    fit.lr = 2e-3;
    fit.epochs = 200;
    fit.seed = seed;
    const auto net = fit.fresh();
    fit.train(*net, d.train);
    const Evaluation train = fit.evaluate(*net, d.train), test = fit.evaluate(*net, d.test);
    g.accuracy += (train.report.accuracy - test.report.accuracy) / 3;
    g.loss += (test.loss - train.loss) / 3;
  }
  return g;
}

TEST(Dropout, NarrowsTheGapOfAnOverWideNet) {
  const Gap without = gap("0"), with = gap("0.5");
  // Measured: 0.0570 against 0.0597 in accuracy, 0.219 against 0.229 in loss. The gap in
  // accuracy is five pictures of 1,791 and depends on the net: with two hidden layers it was one
  // picture, or the reverse.
  EXPECT_LT(with.accuracy, without.accuracy);
  EXPECT_LT(with.loss, without.loss);
}

/// Momentum with a rate that grows with the batch, after a warm-up; mean of 3 seeds.
double accuracy_with_batch(int64_t batch) {
  double mean = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const test::Digits d = test::digits(1100, seed);
    Indices first(1024);
    std::iota(first.begin(), first.end(), 0);
    TrainConfig c;
    c.model = "cnn";
    c.options = "widths=8-16 dropout=0";
    c.transform = "to_channels(1)|normalize(mean=0.3,std=0.35)";
    c.optimizer = "momentum";
    c.weight_decay = 1e-4;
    c.lr = 0.01 * static_cast<double>(batch) / 32;
    c.schedule = "warmup:10+cosine";
    c.epochs = 100;
    c.batch = batch;
    c.val_share = 0;
    c.workers = 0;
    c.seed = static_cast<int64_t>(seed);
    DataSplits parts;
    parts.train = subset(d.train, first);
    parts.test = d.test;
    mean += Trainer(c, parts).run().report.accuracy / 3;
  }
  std::printf("batch %ld: %.4f\n", static_cast<long>(batch), mean);
  return mean;
}

TEST(LargeBatch, LinearScalingWithWarmUpKeepsTheAccuracy) {
  const double small = accuracy_with_batch(32);
  EXPECT_GE(accuracy_with_batch(1024), small - 0.005);
}

/// Histograms of oriented gradients (Dalal and Triggs 2005) of an 8x8 picture: 3x3 overlapping
/// cells of 4x4 pixels, eight directions, each cell of length 1.
std::vector<float> hog(const Image& image) {
  const auto at = [&](int x, int y) { return image.at(std::clamp(x, 0, 7), std::clamp(y, 0, 7)); };
  std::vector<float> features;
  for (int cy = 0; cy < 3; ++cy)
    for (int cx = 0; cx < 3; ++cx) {
      std::array<float, 8> bins{};
      for (int y = 2 * cy; y < 2 * cy + 4; ++y)
        for (int x = 2 * cx; x < 2 * cx + 4; ++x) {
          const float dx = at(x + 1, y) - at(x - 1, y), dy = at(x, y + 1) - at(x, y - 1);
          const double turn = std::atan2(dy, dx) / (2 * std::numbers::pi) * 8 + 8;
          const auto low = static_cast<size_t>(turn);
          const auto part = static_cast<float>(turn - static_cast<double>(low));
          const float length = std::hypot(dx, dy);
          bins[low % 8] += (1 - part) * length;
          bins[(low + 1) % 8] += part * length;
        }
      float square = 1e-4f;
      for (const float v : bins) square += v * v;
      for (const float v : bins) features.push_back(v / std::sqrt(square));
    }
  return features;
}

TEST(EndToEnd, ACnnOnPixelsBeatsALinearSvmOnHandMadeFeatures) {
  double svm = 0, cnn = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const test::Digits d = test::digits(1000, seed);
    const auto table = [](const DatasetPtr& data) {
      std::vector<float> x;
      for (int64_t i = 0; i < data->size(); ++i) {
        const auto row = hog(data->get(i).image);
        x.insert(x.end(), row.begin(), row.end());
      }
      return Tensor::from(x, {data->size(), static_cast<int64_t>(x.size()) / data->size()});
    };
    const Indices labels = labels_of(*d.train), wanted = labels_of(*d.test);
    // The best of the usual strengths of the penalty, chosen for it on the test part.
    const Tensor x = table(d.train), shown = table(d.test);
    double best = 0;
    for (const double c : {1e-4, 1e-3, 1e-2}) {
      Linear net(Scope::init(Key(seed)), {x.size(1), 10});
      Adam optimizer(net.trainable(), {.lr = 0.02});
      for (int i = 0; i < 300; ++i) {
        Context ctx = Context::eval();
        const Tensor loss =
            multi_margin_loss(net(x, ctx), Tensor::from(labels, {d.train->size()})) +
            penalty({net.weight}, 0, c);
        optimizer.set_lr(0.02 * (1 - i / 300.0));
        optimizer.step(grad(loss, values(net.trainable())));
        State* states[] = {net.state().get(), optimizer.state().get()};
        State::commit(states, {loss});
      }
      Context ctx = Context::eval();
      best = std::max(best, accuracy(wanted, argmax(net(shown, ctx), 1).to_vector<int64_t>()));
    }
    svm += best / 3;
    test::Fit fit;
    fit.options = "widths=16-32 dropout=0.2";
    fit.transform = "translate(0.1)";
    fit.epochs = 30;
    fit.seed = seed;
    cnn += fit.run(d).report.accuracy / 3;
  }
  // Measured: 0.989 with AVX-512 and 0.984 with AVX2, whose sums are rounded in another order,
  // against 0.975.
  EXPECT_GE(cnn, svm + 0.005);
}

}  // namespace
}  // namespace nacre
