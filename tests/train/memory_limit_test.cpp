// Training within a bound on the work space gives the same weights.
#include <gtest/gtest.h>

#include "nacre/plan.h"
#include "train/digits.h"

namespace nacre {
namespace {

std::vector<float> train(const std::string& limit) {
  const test::Digits d = test::digits(64, 1);
  DataSplits data;
  data.train = d.train;
  TrainConfig c;
  c.model = "resnet20";
  c.options = "blocks=2 width=8";
  c.epochs = 1;
  c.batch = 32;
  c.val_share = c.test_share = 0;
  c.workers = 0;
  c.memory_limit = limit;
  clear_plans();
  Trainer trainer(c, data);
  (void)trainer.run();
  std::vector<float> weights;
  for (const Variable& v : trainer.model().variables())
    for (const float w : v.value().to_vector<float>()) weights.push_back(w);
  return weights;
}

TEST(MemoryLimit, OfAStepChangesNoWeight) {
  const std::vector<float> bound = train("15MB"), free = train("0");  // 22 MB without a limit
  EXPECT_EQ(bound, free);
  EXPECT_EQ(memory_limit(), 0u);  // it ends with the trainer
}

TEST(MemoryLimit, ThatCannotBeKeptIsAnError) {
  try {
    train("1KB");
    ADD_FAILURE() << "a step takes more";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::memory);
    EXPECT_NE(std::string(e.what()).find("smaller batches take less"), std::string::npos);
  }
  EXPECT_EQ(memory_limit(), 0u);
}

}  // namespace
}  // namespace nacre
