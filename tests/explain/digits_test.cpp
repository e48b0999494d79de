// Explanations of networks that have learned something: handwritten digits, planted objects.
#include <numeric>

#include "base/progress.h"
#include "explain/small.h"
#include "nacre/train.h"

namespace nacre::test {
namespace {

class Digits : public testing::Test {
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

// ---- where an object is

/// A picture of noise with a plus, a ring or a bar in it; the label says which.
Sample planted(int64_t i, Box* where) {
  Rng rng(Key(77).fold_in(static_cast<uint64_t>(i)));
  Sample s;
  s.image = Image(24, 24, 1);
  for (float& p : s.image.pixels) p = static_cast<float>(rng.uniform(0, 0.4));
  s.label = i % 3;
  const int x = static_cast<int>(rng.below(17)), y = static_cast<int>(rng.below(17));
  for (int r = 0; r < 7; ++r)
    for (int c = 0; c < 7; ++c) {
      const bool on = s.label == 0   ? r == 3 || c == 3
                      : s.label == 1 ? r == 0 || c == 0 || r == 6 || c == 6
                                     : r == 2 || r == 4;
      if (on) s.image.at(x + c, y + r) = 0.9f;
    }
  *where = {static_cast<float>(x), static_cast<float>(y), 7, 7, s.label};
  return s;
}

TEST(Pointing, CamFindsPlantedObjects) {
  std::vector<Sample> train, test;
  std::vector<Box> boxes;
  Box box;
  for (int64_t i = 0; i < 600; ++i) train.push_back(planted(i, &box));
  for (int64_t i = 0; i < 90; ++i) {
    test.push_back(planted(10000 + i, &box));
    boxes.push_back(box);
  }
  const std::vector<std::string> names = {"plus", "ring", "bars"};
  DataSplits data;
  data.kind = "folder";
  data.train = from_samples(train, names);
  data.test = from_samples(test, names);
  TrainConfig c;
  c.model = "cnn";
  c.options = "widths=8-16 dropout=0";
  c.epochs = 8;
  c.lr = 5e-3;
  c.workers = 0;
  Trainer trainer(c, data);
  const double accuracy = trainer.run().report.accuracy;
  EXPECT_GE(accuracy, 0.95);
  int hits = 0;
  std::vector<Sample> seen = test;
  Indices at;
  for (size_t i = 0; i < seen.size(); ++i) {
    trainer.transform().apply(seen[i], false, Key(0));
    at.push_back(static_cast<int64_t>(i));
  }
  const Batch b = collate(seen, at, 3);
  const Tensor maps = explain::heat(trainer.model(), Tensor::from(b.x, b.shape), b.labels, "cam");
  const auto v = maps.to_vector<float>();
  const auto side = static_cast<size_t>(maps.size(3)), plane = side * side;
  for (size_t i = 0; i < seen.size(); ++i) {
    const auto from = v.begin() + static_cast<ptrdiff_t>(i * plane);
    const auto top =
        static_cast<size_t>(std::max_element(from, from + static_cast<ptrdiff_t>(plane)) - from);
    const double scale = 24.0 / static_cast<double>(side);
    const double px = (static_cast<double>(top % side) + 0.5) * scale;
    const double py = (static_cast<double>(top / side) + 0.5) * scale;
    hits += px >= boxes[i].x && px <= boxes[i].x + 7 && py >= boxes[i].y && py <= boxes[i].y + 7;
  }
  EXPECT_GE(hits, 81);  // nine of ten; measured: 86 of 90
}

}  // namespace
}  // namespace nacre::test
