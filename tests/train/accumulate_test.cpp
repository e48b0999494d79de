// Gradients accumulated over parts of a batch are those of the batch.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "train/digits.h"

namespace nacre {
namespace {

std::vector<float> trained(int64_t batch, int64_t accumulate) {
  Indices first(160);
  std::iota(first.begin(), first.end(), 0);
  TrainConfig c;
  c.model = "mlp";
  c.options = "hidden=32";
  c.transform = "normalize(mean=0.3,std=0.35)";
  c.optimizer = "momentum";
  c.lr = 0.05;
  c.schedule = "constant";
  c.epochs = 2;
  c.batch = batch;
  c.accumulate = accumulate;
  c.val_share = c.test_share = 0;
  c.workers = 0;
  DataSplits parts;
  parts.train = subset(test::digits(200).train, first);
  Trainer trainer(c, parts);
  trainer.run();
  std::vector<float> all;
  for (const Variable& v : trainer.model().parameters())
    for (const float p : v.value().to_vector<float>()) all.push_back(p);
  return all;
}

TEST(Accumulation, OfKPartsIsOneBatchOfAll) {
  const std::vector<float> whole = trained(32, 1), parts = trained(8, 4), few = trained(8, 1);
  ASSERT_EQ(whole.size(), parts.size());
  double apart = 0, other = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    apart = std::max(apart, static_cast<double>(std::abs(whole[i] - parts[i])));
    other = std::max(other, static_cast<double>(std::abs(whole[i] - few[i])));
  }
  EXPECT_LE(apart, 1e-5);
  EXPECT_GT(other, 1e-2);  // four times as many steps
}

}  // namespace
}  // namespace nacre
