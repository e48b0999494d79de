// Recipes trained to their end on MNIST and on a sixth of Fashion-MNIST.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "nacre/recipes.h"
#include "nacre/train.h"

namespace nacre {
namespace {

class Accuracy : public ::testing::Test {
 protected:
  /// The folder of data, or the test is skipped.
  bool find(const char* name) {
    const char* folder = std::getenv("NACRE_DATA");
    data_ = std::string(folder ? folder : "") + "/" + name;
    return folder && std::filesystem::exists(data_);
  }
  /// Test accuracy after the training of a recipe.
  double of(const char* recipe, int64_t seed) const {
    TrainConfig c = find_recipe(recipe).config;
    c.data = data_;
    c.seed = seed;
    const double accuracy = Trainer(c).run().report.accuracy;
    std::printf("%s, seed %ld: %.4f\n", recipe, static_cast<long>(seed), accuracy);
    std::fflush(stdout);
    return accuracy;
  }

 private:
  std::string data_;
};

TEST_F(Accuracy, OfLeNet5OnMnistAfterFiveEpochs) {
  if (!find("mnist")) GTEST_SKIP() << "needs $NACRE_DATA/mnist";
  ASSERT_EQ(find_recipe("lenet5-mnist").config.epochs, 5);
  double mean = 0;
  for (int64_t seed = 1; seed <= 3; ++seed) mean += of("lenet5-mnist", seed) / 3;
  EXPECT_GE(mean, 0.990);  // measured: 0.9924
}

TEST_F(Accuracy, OfASmallNetworkOnMnist) {
  if (!find("mnist")) GTEST_SKIP() << "needs $NACRE_DATA/mnist";
  EXPECT_GE(of("cnn-mnist", 1), 0.995);  // measured: 0.9963
}

TEST_F(Accuracy, OfASmallNetworkOnASampleOfFashionMnist) {
  if (!find("fashion-mnist")) GTEST_SKIP() << "needs $NACRE_DATA/fashion-mnist";
  EXPECT_GE(of("cnn-fashion", 1), 0.90);  // measured: 0.9068
}

}  // namespace
}  // namespace nacre
