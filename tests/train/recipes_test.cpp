// Every recipe that ships can be read, starts, and is documented.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "nacre/train.h"

namespace nacre {
namespace {

std::vector<std::filesystem::path> recipes() {
  std::vector<std::filesystem::path> list;
  for (const auto& file :
       std::filesystem::directory_iterator(std::string(NACRE_SOURCE_DIR) + "/recipes"))
    list.push_back(file.path());
  std::sort(list.begin(), list.end());
  return list;
}

/// Noise in the form of MNIST.
DataSplits pictures() {
  std::vector<Sample> samples;
  std::vector<std::string> classes;
  Rng rng{Key(1)};
  for (int64_t i = 0; i < 30; ++i) {
    Sample s;
    s.image = Image(28, 28, 1);
    for (float& p : s.image.pixels) p = static_cast<float>(rng.uniform());
    s.label = i % 10;
    samples.push_back(std::move(s));
  }
  for (int c = 0; c < 10; ++c) classes.push_back(std::to_string(c));
  DataSplits splits;
  splits.train = splits.val = splits.test = from_samples(samples, classes);
  return splits;
}

TEST(Recipes, StartAndAreDocumented) {
  std::ifstream in(std::string(NACRE_SOURCE_DIR) + "/docs/recipes.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  ASSERT_GE(recipes().size(), 2u);
  for (const auto& path : recipes()) {
    SCOPED_TRACE(path.string());
    EXPECT_NE(page.find("recipes/" + path.filename().string()), std::string::npos);
    TrainConfig c = TrainConfig::from_yaml_file(path);
    c.batch = 8;
    const DataSplits data = pictures();
    Trainer trainer(c, data);
    LoaderOptions o;
    o.batch = c.batch;
    o.workers = 0;
    DataLoader loader(data.train, trainer.transform(), sequential(data.train->size()), o);
    loader.start(0);
    const double loss = trainer.step(*loader.next());
    EXPECT_TRUE(std::isfinite(loss));
    EXPECT_GT(loss, 0.5);  // nothing is known of ten classes: ln 10 on average
  }
}

}  // namespace
}  // namespace nacre
