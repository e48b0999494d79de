// Explanations of a network that has learned to read digits.
#include <numeric>

#include "base/progress.h"
#include "explain/small.h"
#include "nacre/train.h"

namespace nacre::test {
namespace {

class Digits : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_progress_mode(Progress::Mode::quiet);
    TrainConfig c;
    c.model = "lenet5";
    c.data = std::string(NACRE_SOURCE_DIR) + "/data/digits";
    c.epochs = 4;
    c.workers = 0;
    trainer = std::make_unique<Trainer>(c);
    ASSERT_GT(trainer->run().report.accuracy, 0.9);
  }
  static void TearDownTestSuite() { trainer.reset(); }
  /// Test pictures and their labels.
  static std::pair<Tensor, explain::Classes> some(int64_t n) {
    std::vector<Sample> samples;
    Indices at;
    for (int64_t i = 0; i < n; ++i) {
      at.push_back(7 * i);
      samples.push_back(trainer->data().test->get(7 * i));
      trainer->transform().apply(samples.back(), false, Key(0));
    }
    const Batch b = collate(samples, at, 10);
    return {Tensor::from(b.x, b.shape), b.labels};
  }
  static std::unique_ptr<Trainer> trainer;
};
std::unique_ptr<Trainer> Digits::trainer;

/// The mean score while pixels are set to zero in an order, from all there to all gone.
double deletion_area(const explain::Scores& f, const Tensor& x, const explain::Classes& classes,
                     const std::vector<float>& importance) {
  NoGrad guard;
  const auto n = static_cast<size_t>(x.size(0));
  const auto pixels = static_cast<size_t>(x.numel()) / n;
  std::vector<float> values = x.to_vector<float>();
  std::vector<std::vector<size_t>> order(n, std::vector<size_t>(pixels));
  for (size_t i = 0; i < n; ++i) {
    std::iota(order[i].begin(), order[i].end(), size_t{0});
    std::stable_sort(order[i].begin(), order[i].end(), [&](size_t a, size_t b) {
      return importance[i * pixels + a] > importance[i * pixels + b];
    });
  }
  constexpr size_t kSteps = 20;
  double area = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    const Tensor p = softmax(f(Tensor::from(values, x.shape())));
    area += mean(explain::class_scores([&](const Tensor&) { return p; }, x, classes)).item();
    for (size_t i = 0; i < n; ++i)
      for (size_t k = step * pixels / kSteps; k < (step + 1) * pixels / kSteps; ++k)
        values[i * pixels + order[i][k]] = 0;
  }
  return area / kSteps;
}

TEST_F(Digits, TakingAwayWhatLrpShowsLowersTheScoreFasterThanAtRandom) {
  const auto [x, labels] = some(24);
  const auto f = explain::scores_of(trainer->model());
  const auto map = explain::lrp(f, x, labels).map.to_vector<float>();
  const auto random = uniform(x.shape(), Key(5)).to_vector<float>();
  const double by_lrp = deletion_area(f, x, labels, map);
  const double by_chance = deletion_area(f, x, labels, random);
  EXPECT_LT(by_lrp, 0.4 * by_chance);  // measured: 0.106 and 0.728
}

TEST_F(Digits, RandomWeightsChangeTheMaps) {
  const auto [x, labels] = some(3);
  for (const char* method : {"grad_cam", "lrp", "saliency", "integrated_gradients", "smooth_grad",
                             "occlusion", "shap"}) {
    const auto before = trainer->model().parameters()[0].value().to_vector<float>();
    const double r = explain::sanity(trainer->model(), x, labels, method);
    EXPECT_LT(std::fabs(r), 0.3) << method;  // measured: grad_cam 0.15, shap -0.12, others 0.06
    EXPECT_EQ(before, trainer->model().parameters()[0].value().to_vector<float>());
  }
}

TEST_F(Digits, ACheckThatFailsPutsTheWeightsBack) {
  Module& net = trainer->model();
  const auto before = net.parameters()[0].value().to_vector<float>();
  int calls = 0;
  EXPECT_THROW(explain::sanity(net,
                               [&]() -> Tensor {
                                 if (calls++) fail(Error::Kind::usage, {"enough"});
                                 return ones({4});
                               }),
               Error);
  EXPECT_EQ(before, net.parameters()[0].value().to_vector<float>());
}

TEST_F(Digits, ActivationMaximisationDrawsTheClass) {
  Module& net = trainer->model();
  const auto f = explain::scores_of(net);
  const DatasetPtr train = trainer->data().train;
  const Shape input = trainer->info().input;
  for (int64_t c = 0; c < 10; c += 3) {
    const auto r = explain::activation_max(net, input, {"", c}, {.steps = 100});
    EXPECT_GT(r.objective.back(), r.objective.front());
    size_t rises = 0;
    for (size_t k = 1; k < r.objective.size(); ++k) rises += r.objective[k] >= r.objective[k - 1];
    EXPECT_GE(rises, r.objective.size() * 9 / 10);
    const Tensor p = softmax(f(r.pictures));
    EXPECT_GE(amin(slice(p, 1, c, c + 1)).item(), 0.99) << c;
    // The mean picture of the class, as the network sees it.
    Tensor total = zeros({1, input[0], input[1], input[2]});
    int64_t n = 0;
    for (int64_t i = 0; i < train->size() && n < 60; ++i) {
      if (train->label(i) != c) continue;
      Sample s = train->get(i);
      trainer->transform().apply(s, false, Key(0));
      const Batch b = collate({s}, {0}, 10);
      total += Tensor::from(b.x, b.shape);
      ++n;
    }
    const Tensor average = mean(r.pictures, {0}, true);
    const Tensor a = average - mean(average), b = total - mean(total);
    const double correlation = (sum(a * b) / sqrt(sum(square(a)) * sum(square(b)))).item();
    EXPECT_GT(correlation, 0.3) << c;  // measured: 0.49 to 0.63
  }
  // A unit inside.
  const auto inner = explain::activation_max(net, input, {"conv2", 3}, {.samples = 1, .steps = 50});
  EXPECT_GT(inner.objective.back(), inner.objective.front() + 1);
  EXPECT_THROW(explain::activation_max(net, input, {"conv2", 16}), Error);
  EXPECT_THROW(explain::activation_max(net, input, {"conv9", 0}), Error);
}

TEST_F(Digits, ThePictureIsWhatTheNetworkSaw) {
  Sample s = trainer->data().test->get(0);
  Sample seen = s;
  trainer->transform().apply(seen, false, Key(0));
  const Batch b = collate({seen}, {0}, 10);
  const Image shown = explain::picture_of(Tensor::from(b.x, b.shape), trainer->transform());
  Image want = resize(s.image, shown.width, shown.height);
  ASSERT_EQ(shown.pixels.size(), want.pixels.size());
  for (size_t i = 0; i < want.pixels.size(); ++i)
    ASSERT_NEAR(shown.pixels[i], want.pixels[i], 1e-5);
}

TEST(Sanity, RankCorrelationByHand) {
  const std::vector<float> a = {1, 2, 3, 4, 5}, b = {2, 1, 4, 3, 5}, tied = {1, 1, 2, 2, 3};
  EXPECT_NEAR(explain::rank_correlation(a, a), 1, 1e-12);
  EXPECT_NEAR(explain::rank_correlation(a, b), 0.8, 1e-12);          // 1 - 6 * 4 / (5 * 24)
  EXPECT_NEAR(explain::rank_correlation(a, tied), 0.9486833, 1e-6);  // scipy.stats.spearmanr
  EXPECT_EQ(explain::rank_correlation(a, std::vector<float>(5, 1)), 0);
}

TEST(Sanity, AnEdgeDetectorIsFoundOut) {
  const auto net = make_model("lenet5", "", Scope::init(Key(1)));
  const Tensor x = uniform({1, 1, 32, 32}, Key(2));
  EXPECT_NEAR(explain::sanity(*net, [&] { return x * 2; }), 1, 1e-9);
}

TEST(Overlay, ColoursSaySpeakingForAndAgainst) {
  const Image grey(4, 4, 1, 0.5f);
  const Tensor map = Tensor::from<float>({1, 0, 0, -1}, {1, 1, 2, 2});
  const Image o = explain::overlay(grey, map, 0, 8);
  EXPECT_EQ(o.width, 8);
  EXPECT_GT(o.at(0, 0, 0), o.at(0, 0, 2) + 0.3f);  // red
  EXPECT_GT(o.at(7, 7, 2), o.at(7, 7, 0) + 0.3f);  // blue
  EXPECT_EQ(o.at(7, 0, 0), o.at(7, 0, 2));         // grey
}

}  // namespace
}  // namespace nacre::test
