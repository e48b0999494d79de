// Values to predict: learned in units of their deviation, given in their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "nacre/train.h"
#include "tools/shell.h"

namespace nacre {
namespace {

/// Two values of very different sizes, linear in three features but for some noise.
DatasetPtr linear_rows(int n, uint64_t seed) {
  Rng rng{Key(seed)};
  std::vector<Sample> rows(static_cast<size_t>(n));
  for (Sample& s : rows) {
    for (int k = 0; k < 3; ++k) s.features.push_back(static_cast<float>(rng.uniform()));
    const auto noise = [&] { return rng.uniform() - 0.5; };
    s.target = {
        static_cast<float>(10000 + 900 * s.features[0] - 400 * s.features[1] + 90 * noise()),
        static_cast<float>(1e-3 * s.features[2] + 1e-4 * noise())};
  }
  return from_samples(std::move(rows), {});
}

double r2_of(const Evaluation& e, size_t output) {
  std::vector<float> targets, scores;
  for (size_t i = output; i < e.targets.size(); i += 2) {
    targets.push_back(e.targets[i]);
    scores.push_back(e.scores[i]);
  }
  return r2_score(targets, scores);
}

TEST(Values, AreLearnedWithTheUsualSettingsWhateverTheirSize) {
  for (const char* model : {"mlp", "linear_regression"}) {
    test::TempFolder f;
    TrainConfig c = TrainConfig::for_model(model);
    c.out = (f / "run").string();
    Trainer trainer(c, {"rows", linear_rows(500, 1), {}, linear_rows(200, 2), {}});
    const Evaluation e = trainer.run();
    // Measured: 0.976 and 0.966, 0.989 and 0.987; the noise leaves 0.992 and 0.990.
    EXPECT_GT(r2_of(e, 0), 0.95) << model;
    EXPECT_GT(r2_of(e, 1), 0.95) << model;
    EXPECT_EQ(e.warning(), "");
    // The mean of both squared errors, in units of the deviation.
    EXPECT_NEAR(e.loss, (2 - r2_of(e, 0) - r2_of(e, 1)) / 2, 0.02) << model;

    const Model m = load_model(c.out + "/model.safetensors");
    const Evaluation again =
        evaluate(*m.net, trainer.data().test, Transform::parse(m.info.transform));
    EXPECT_EQ(again.scores, e.scores);
    EXPECT_EQ(again.loss, e.loss);
  }
}

TEST(Values, MeanAndDeviationAreThoseOfTheTrainingPart) {
  const DatasetPtr train = linear_rows(50, 3);
  Trainer trainer(TrainConfig::for_model("linear_regression"),
                  {"rows", train, linear_rows(20, 4), linear_rows(20, 5), {}});
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 50; ++i) sum += train->get(i).target[0];
  for (int64_t i = 0; i < 50; ++i) squares += std::pow(train->get(i).target[0] - sum / 50, 2);
  const State& state = *trainer.model().state();
  EXPECT_FLOAT_EQ(state.find("output_mean").value().to_vector<float>()[0],
                  static_cast<float>(sum / 50));
  EXPECT_FLOAT_EQ(output_std(trainer.model()).to_vector<float>()[0],
                  static_cast<float>(std::sqrt(squares / 50)));
  EXPECT_EQ(trainer.model().parameter_count(), 3 * 2 + 2);
}

TEST(Values, OfOneSizeOnlyAreLearnedToo) {
  std::vector<Sample> rows(40);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].features = {static_cast<float>(i)};
    rows[i].target = {-7};
  }
  TrainConfig c = TrainConfig::for_model("linear_regression");
  c.epochs = 100;
  // Measured: 0.00016.
  EXPECT_LT(Trainer(c, {"rows", from_samples(rows, {}), {}, {}, {}}).run().rmse, 0.01);
}

TEST(Values, AModelWorseThanTheMeanIsNamed) {
  Trainer trainer(TrainConfig::for_model("linear_regression"),
                  {"rows", linear_rows(50, 3), linear_rows(20, 4), linear_rows(20, 5), {}});
  std::vector<Sample> other;
  for (int i = 0; i < 20; ++i) {
    other.push_back(linear_rows(20, 5)->get(i));
    other.back().target = {static_cast<float>(i), 0};
  }
  const Evaluation e =
      evaluate(trainer.model(), from_samples(other, {}), trainer.transform(), 64, 0);
  EXPECT_LT(e.r2, 0);
  EXPECT_NE(e.warning().find("the mean of these values would be a better guess"),
            std::string::npos);
}

TEST(Values, DiabetesIsPredictedAsWellAsByLeastSquares) {
  const char* folder = std::getenv("NACRE_DATA");
  const std::string table = std::string(folder ? folder : "") + "/tabular/diabetes.csv";
  if (!folder || !std::filesystem::exists(table))
    GTEST_SKIP() << "needs $NACRE_DATA/tabular/diabetes.csv";
  for (const char* model : {"mlp", "linear_regression"}) {
    TrainConfig c = TrainConfig::for_model(model);
    c.data = table;
    // Measured: 0.537 and 0.540; least squares has a mean of 0.484 over 50 random splits.
    EXPECT_GT(Trainer(c).run().r2, 0.45) << model;
  }
}

}  // namespace
}  // namespace nacre
