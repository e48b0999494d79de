// Ten thousand training steps take no more memory than a thousand.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "graph/storage.h"
#include "train/digits.h"

namespace nacre {
namespace {

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

TEST(Stability, TenThousandStepsDoNotGrow) {
  TrainConfig c;
  c.model = "mlp";
  c.options = "hidden=32 dropout=0.2";
  c.batch = 32;
  c.ema = 0.99;
  c.clip_norm = 1;
  c.workers = 0;
  DataSplits data;
  data.train = test::digits(320).train;
  Trainer trainer(c, data);
  DataLoader loader(trainer.data().train, trainer.transform(),
                    shuffled(trainer.data().train->size()),
                    {.batch = 32, .workers = 0, .drop_last = true});
  double early = 0, early_live = 0;
  for (int64_t step = 0, epoch = 0; step < 10000; ++epoch) {
    loader.start(epoch);
    while (const auto b = loader.next()) {
      trainer.step(*b);
      if (++step == 1000) {
        early = resident_bytes();
        early_live = static_cast<double>(memory_stats().live);
      }
    }
  }
  EXPECT_GT(early, 1e6);
  EXPECT_LE(resident_bytes(), early * 1.01);
  EXPECT_LE(static_cast<double>(memory_stats().live), early_live);
}

}  // namespace
}  // namespace nacre
