// Weights of samples and features of layers against what they are by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "nacre/autograd.h"
#include "nacre/transfer.h"
#include "nacre/weights.h"
#include "tools/shell.h"
#include "train/digits.h"

namespace nacre {
namespace {

using test::TempFolder;

DatasetPtr rows(const std::vector<double>& xs) {
  std::vector<Sample> samples;
  for (const double x : xs) {
    Sample s;
    s.features = {static_cast<float>(x)};
    s.target = {0};
    samples.push_back(s);
  }
  return from_samples(samples, {});
}

/// Weighted least squares, in closed form: mean square on other points.
double error_of_line(const std::vector<double>& x, const std::vector<double>& w,
                     const std::vector<double>& on, double (*f)(double)) {
  double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    s += w[i];
    sx += w[i] * x[i];
    sy += w[i] * f(x[i]);
    sxx += w[i] * x[i] * x[i];
    sxy += w[i] * x[i] * f(x[i]);
  }
  const double slope = (s * sxy - sx * sy) / (s * sxx - sx * sx), offset = (sy - slope * sx) / s;
  double error = 0;
  for (const double v : on) error += std::pow(offset + slope * v - f(v), 2);
  return error / static_cast<double>(on.size());
}

TEST(Importance, WeightsComeNearTheTrueRatioAndLowerTheErrorOfTheTarget) {
  // Normal with mean 0, and with mean 1: the ratio of densities is exp(x - 1/2).
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> source, target, test;
  for (int i = 0; i < 600; ++i) source.push_back(normal(random));
  for (int i = 0; i < 600; ++i) target.push_back(1 + normal(random));
  for (int i = 0; i < 2000; ++i) test.push_back(1 + normal(random));
  const std::vector<double> w = importance_weights(rows(source), rows(target));
  double sum = 0, truth = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    sum += w[i];
    truth += std::exp(source[i] - 0.5);
  }
  EXPECT_NEAR(sum, 600, 1e-6);
  double divergence = 0, of_equal = 0;  // Kullback-Leibler, from the true ratio
  for (size_t i = 0; i < w.size(); ++i) {
    const double t = std::exp(source[i] - 0.5) / truth;
    divergence += t * std::log(t / (w[i] / sum));
    of_equal += t * std::log(t * 600);
  }
  EXPECT_LT(divergence, 0.1 * of_equal);
  const auto curve = [](double x) { return x * x; };
  const double plain = error_of_line(source, std::vector<double>(600, 1.0), test, curve),
               weighted = error_of_line(source, w, test, curve);
  EXPECT_LT(weighted, 0.8 * plain);
}

TEST(Importance, AStepWeighsEachSample) {
  TempFolder folder;
  const test::Digits d = test::digits(40);
  std::vector<double> weights;
  for (int64_t i = 0; i < d.train->size(); ++i) weights.push_back(static_cast<double>(i % 5));
  write_sample_weights(folder / "w.csv", *d.train, weights);
  TrainConfig c;
  c.model = "logistic_regression";
  c.optimizer = "sgd";
  c.lr = 0.5;
  c.schedule = "constant";
  c.weight_decay = 0;
  c.val_share = c.test_share = 0;
  c.sample_weights = folder / "w.csv";
  DataSplits data;
  data.train = d.train;
  Trainer trainer(c, data);
  DataLoader loader(trainer.data().train, trainer.transform(), sequential(40),
                    {.batch = 40, .workers = 0});
  loader.start(0);
  const auto b = loader.next();
  Module& net = trainer.model();
  Context ctx = Context::eval();
  const Tensor log_p = log_softmax(net(Tensor::from(b->x, b->shape), ctx));
  double mean = 0;
  for (const double w : weights) mean += w / 40;
  std::vector<float> w;
  for (const double v : weights) w.push_back(static_cast<float>(v / mean));
  const Tensor picked = sum(one_hot(Tensor::from(b->labels, {40}), 10) * log_p, {1});
  const Tensor loss = neg(sum(Tensor::from(w, {40}) * picked)) / 40.0;
  Tensors want = grad(loss, values(net.parameters()));
  for (size_t i = 0; i < want.size(); ++i) want[i] = net.parameters()[i].value() - c.lr * want[i];
  eval(want);
  trainer.step(*b);
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_LT(amax(abs(net.parameters()[i].value() - want[i])).item(), 1e-6);

  folder.write("short.csv", "name,weight\n" + d.train->name(0) + ",1\n");
  EXPECT_THROW(read_sample_weights(folder / "short.csv", *d.train), Error);
  for (const char* wrong : {"a,x\n", "a,-1\n", "a\n", "a,nan\n"}) {
    folder.write("wrong.csv", wrong);
    EXPECT_THROW(read_sample_weights(folder / "wrong.csv", *d.train), Error) << wrong;
  }
}

TEST(Features, AreTheOutputsOfLayers) {
  TempFolder folder;
  const test::Digits d = test::digits(30);
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const Transform transform = Transform::parse("to_channels(1)|resize(32)");
  const auto features = extract_features(*net, d.train, transform, {"conv2", "fc2"}, false, 7, 0);
  ASSERT_EQ(features.size(), 3u);
  EXPECT_EQ(features[0].second.shape, (Shape{30, 16, 10, 10}));
  EXPECT_EQ(features[2].first, "labels");
  DataLoader loader(d.train, transform, sequential(30), {.batch = 30, .workers = 0});
  loader.start(0);
  const auto b = loader.next();
  Context ctx = Context::eval();
  ctx.taps["fc2"] = {};
  (*net)(Tensor::from(b->x, b->shape), ctx);
  const Tensor got = copied_tensor(features[1].second);
  EXPECT_LT(amax(abs(got - ctx.taps["fc2"])).item(), 1e-5);
  EXPECT_EQ(copied_tensor(features[2].second).to_vector<int64_t>(), b->labels);
  const auto pooled = extract_features(*net, d.train, transform, {"conv2"}, true, 7, 0);
  const Tensor all = mean(copied_tensor(features[0].second), {2, 3});
  EXPECT_LT(amax(abs(copied_tensor(pooled[0].second) - all)).item(), 1e-5);
  write_weights(folder / "f.npz", features);
  EXPECT_EQ(read_weights(folder / "f.npz").tensors.size(), 3u);
  try {
    extract_features(*net, d.train, transform, {"conv9"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "the model has no layer 'conv9'; it has conv1, conv2, fc1, fc2, fc3");
  }
}

}  // namespace
}  // namespace nacre
