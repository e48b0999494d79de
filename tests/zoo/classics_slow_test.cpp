// Networks that learn handwritten digits: those that ship, and MNIST if it is there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "nacre/train.h"

namespace nacre {
namespace {

std::string digits() { return std::string(NACRE_SOURCE_DIR) + "/data/digits"; }

TrainConfig config(const std::string& model, const std::string& data) {
  TrainConfig c = TrainConfig::for_model(model);
  c.data = data;
  c.lr = 3e-3;
  c.seed = 1;
  return c;
}

TEST(Mlp, ReadsTheDigitsThatShip) {
  TrainConfig c = config("mlp", digits());
  c.transform = "resize(28)|normalize(mean=0.3,std=0.35)";
  c.epochs = 20;
  Trainer trainer(c);
  EXPECT_EQ(trainer.model().parameter_count(), 203530);  // 784-256-10
  EXPECT_GE(trainer.run().report.accuracy, 0.97);        // 0.994
}

TEST(Mlp, ReadsMnist) {
  const char* folder = std::getenv("NACRE_DATA");
  const std::string mnist = std::string(folder ? folder : "") + "/mnist";
  if (!folder || !std::filesystem::exists(mnist)) GTEST_SKIP() << "needs $NACRE_DATA/mnist";
  TrainConfig c = config("mlp", mnist);
  c.epochs = 3;
  c.batch = 128;
  Trainer trainer(c);
  EXPECT_EQ(trainer.model().parameter_count(), 203530);
  EXPECT_GE(trainer.run().report.accuracy, 0.97);  // 0.980
}

TEST(LeNet5, ReadsTheDigitsThatShip) {
  TrainConfig c = config("lenet5", digits());
  c.transform =
      "resize(32)|affine(degrees=8,translate=0.06,scale=0.08)|normalize(mean=0.3,std=0.35)";
  c.epochs = 25;
  c.batch = 32;
  Trainer trainer(c);
  EXPECT_EQ(trainer.model().parameter_count(), 61706);
  EXPECT_GE(trainer.run().report.accuracy, 0.98);  // 1.000
}

}  // namespace
}  // namespace nacre
