// How well the digits that ship are read after the training that `nacre demo` does.
#include <gtest/gtest.h>

#include <cstdio>

#include "nacre/train.h"

namespace nacre {
namespace {

TEST(Accuracy, OfTheDigitsThatShip) {
  double mean = 0;
  for (int64_t seed = 1; seed <= 5; ++seed) {
    TrainConfig c;
    c.model = "lenet5";
    c.data = std::string(NACRE_SOURCE_DIR) + "/data/digits";
    c.epochs = 40;
    c.lr = 3e-3;
    c.batch = 32;
    c.transform =
        "to_channels(1)|resize(32)|affine(degrees=8,translate=0.06,scale=0.08)|normalize(mean=0.3,"
        "std=0.35)";
    c.seed = seed;
    Trainer trainer(c);
    EXPECT_EQ(trainer.data().test->size(), 359);  // a fifth of each class
    const double accuracy = trainer.run().report.accuracy;
    std::printf("digits, seed %ld: %.4f\n", static_cast<long>(seed), accuracy);
    mean += accuracy / 5;
  }
  EXPECT_GE(mean, 0.985);  // measured: 0.9914, on one thread
}

}  // namespace
}  // namespace nacre
