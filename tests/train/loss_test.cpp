// The losses that training knows by name, and the settings that models bring along.
#include "train/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/error.h"
#include "tools/shell.h"

namespace nacre {
namespace {

Batch labelled(std::vector<int64_t> labels) {
  Batch b;
  for (size_t i = 0; i < labels.size(); ++i) b.indices.push_back(static_cast<int64_t>(i));
  b.labels = std::move(labels);
  return b;
}

TEST(TrainingLoss, PerceptronCountsOnlyMistakesAndMovesZeros) {
  const Batch b = labelled({0, 2});
  // Right: the first row's second and third unit. Wrong by 1; by 0.5, 2 and 0 (a zero).
  const Tensor y = Tensor::from<float>({-1, -3, -2, 0.5, 2, 0}, {2, 3});
  EXPECT_DOUBLE_EQ(loss_of("perceptron", y, b).item(), (1 + 0.5 + 2 + 0) / 2.0);
  EXPECT_EQ(grad(loss_of("perceptron", y, b), {y})[0].to_vector<float>(),
            (std::vector<float>{-0.5, 0, 0, 0.5, 0.5, -0.5}));
}

TEST(TrainingLoss, SquaredErrorOfClassesIsToPlusAndMinusOne) {
  const Tensor y = Tensor::from<float>({1, -1, 0, 0.5, 2, -1}, {2, 3});
  EXPECT_FLOAT_EQ(loss_of("mse", y, labelled({0, 2})).item(),
                  (0 + 0 + 1 + 1.5 * 1.5 + 9 + 4) / 6.0);
  Batch mixed = labelled({0, 2});
  mixed.targets = {0.5, 0.5, 0, 0, 0, 1};
  mixed.target_width = 3;
  EXPECT_FLOAT_EQ(loss_of("mse", y, mixed).item(), (1 + 1 + 1 + 1.5 * 1.5 + 9 + 4) / 6.0);
  Batch values;
  values.indices = {0, 1};
  values.targets = {1, 2};
  values.target_width = 1;
  EXPECT_FLOAT_EQ(loss_of("mse", Tensor::from<float>({3, 3}, {2, 1}), values).item(), 2.5);
}

TEST(TrainingLoss, MarginTakesSigmoidsForLengths) {
  const auto score = [](double p) { return static_cast<float>(std::log(p / (1 - p))); };
  const Tensor y = Tensor::from<float>({score(0.8), score(0.3), score(0.05),  //
                                        score(0.1), score(0.5), score(0.95)},
                                       {2, 3});
  const double first = 0.1 * 0.1 + 0.5 * 0.2 * 0.2, second = 0.5 * 0.4 * 0.4;
  EXPECT_NEAR(loss_of("margin", y, labelled({0, 2})).item(), (first + second) / 2, 1e-6);
  Batch soft = labelled({0, 2});
  soft.targets = {1, 0, 0, 0, 0, 1};
  soft.target_width = 3;
  EXPECT_NEAR(loss_of("margin", y, soft).item(), (first + second) / 2, 1e-6);
}

TEST(TrainingLoss, FocalAndWeightedByHand) {
  // Probabilities 0.8 and 0.2, 0.5 and 0.5.
  const float a = std::log(4.0f);
  const Tensor y = Tensor::from<float>({a, 0, 1, 1}, {2, 2}), w = Tensor::from<float>({1, 3}, {2});
  const Batch b = labelled({0, 1});
  const double first = 0.2 * 0.2 * -std::log(0.8), second = 0.25 * -std::log(0.5);
  EXPECT_NEAR(loss_of("focal", y, b).item(), (first + second) / 2, 1e-6);
  EXPECT_NEAR(loss_of("focal", y, b, 0, {}, w).item(), (first + 3 * second) / 2, 1e-6);
  EXPECT_NEAR(loss_of("cross_entropy", y, b, 0, {}, w).item(),
              (-std::log(0.8) - 3 * std::log(0.5)) / 4, 1e-6);
  Batch soft = b;
  soft.targets = {1, 0, 0, 1};
  soft.target_width = 2;
  EXPECT_NEAR(loss_of("focal", y, soft).item(), (first + second) / 2, 1e-6);
}

TEST(TrainingLoss, IsChosenForTheData) {
  TrainConfig c;
  EXPECT_EQ(choose_loss(c, false), "cross_entropy");
  EXPECT_EQ(choose_loss(c, true), "mse");
  c.loss = "perceptron";
  EXPECT_EQ(choose_loss(c, false), "perceptron");
  EXPECT_THROW(choose_loss(c, true), Error);
  c.label_smoothing = 0.1;
  EXPECT_THROW(choose_loss(c, false), Error);
  c.label_smoothing = 0;
  c.loss = "hinge";
  try {
    c.check();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::usage);
    EXPECT_NE(std::string(e.what()).find("'hinge'"), std::string::npos);
  }
}

TEST(TrainingSettings, ComeWithTheModelUnlessTheFileHasOthers) {
  const TrainConfig c = TrainConfig::for_model("perceptron");
  EXPECT_EQ(c.optimizer, "sgd");
  EXPECT_EQ(c.lr, 1);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_EQ(TrainConfig::for_model("mlp").to_yaml(), [] {
    TrainConfig plain;
    plain.model = "mlp";
    return plain.to_yaml();
  }());
  EXPECT_THROW(TrainConfig::for_model("perceptrn"), Error);

  test::TempFolder folder;
  folder.write("a.yaml", "lr: 0.5\nmodel: perceptron\n");
  const TrainConfig read = TrainConfig::from_yaml_file(folder / "a.yaml");
  EXPECT_EQ(read.lr, 0.5);
  EXPECT_EQ(read.loss, "perceptron");
  folder.write("b.yaml", c.to_yaml());
  EXPECT_EQ(TrainConfig::from_yaml_file(folder / "b.yaml").to_yaml(), c.to_yaml());
}

/// Trains on the digits that ship, with the model's own settings; the best epoch is the result.
Evaluation digits(const std::string& model, std::vector<EpochInfo>& history) {
  TrainConfig c = TrainConfig::for_model(model);
  c.data = std::string(NACRE_SOURCE_DIR) + "/data/digits";
  c.workers = 1;
  test::TempFolder folder;
  c.out = folder / "run";
  Trainer trainer(c);
  Evaluation e = trainer.run();
  history = trainer.history();
  EXPECT_EQ(trainer.info().extra.at("loss"), c.loss);
  return e;
}

TEST(Digits, ArePartedByAPerceptron) {
  std::vector<EpochInfo> history;
  EXPECT_GE(digits("perceptron", history).report.accuracy, 0.9);  // 0.925
  for (const EpochInfo& i : history) EXPECT_NEAR(i.val_loss, 1 - i.val_score, 1e-12);
}

TEST(Digits, ArePartedByAdaline) {
  std::vector<EpochInfo> history;
  const Evaluation e = digits("adaline", history);
  EXPECT_GE(e.report.accuracy, 0.9);  // 0.922
  EXPECT_LT(e.loss, 0.25);            // 0.20; that of outputs 0 is 1
  for (size_t i = 1; i < history.size(); ++i)
    EXPECT_LT(history[i].train_loss, history[i - 1].train_loss);
}

}  // namespace
}  // namespace nacre
