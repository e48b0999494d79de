// Training within a bound on the work space gives the same weights.
#include <gtest/gtest.h>

#include "nacre/plan.h"
#include "train/digits.h"

namespace nacre {
namespace {

struct Outcome {
  std::vector<float> weights;
  size_t work_space = 0;
};

Outcome train(const std::string& limit) {
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
  Outcome o;
  o.work_space = plan_stats().arena_bytes;
  for (const Variable& v : trainer.model().variables())
    for (const float w : v.value().to_vector<float>()) o.weights.push_back(w);
  return o;
}

TEST(MemoryLimit, OfAStepChangesNoWeight) {
  const Outcome bound = train("15MB");  // first: work space is kept for plans to come
  EXPECT_EQ(memory_limit(), 0u);        // it ends with the trainer
  const Outcome free = train("0");
  EXPECT_EQ(bound.weights, free.weights);
  std::printf("work space %zu, with a limit %zu\n", free.work_space, bound.work_space);
  EXPECT_LE(bound.work_space, 15000000u);
  EXPECT_GT(free.work_space, 20000000u);
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
