// Evaluation on the layout of ImageNet, and pictures that are prepared as the model file says.
#include <gtest/gtest.h>

#include "data/folder.h"
#include "nacre/train.h"

namespace nacre {
namespace {

/// Knows the class of a flat grey picture by its value, and gives it a rank equal to its number.
struct Ranked : Module {
  explicit Ranked(const Scope& s) : Module(s) {}
  Tensor forward(const Tensor& x, Context&) override {
    std::vector<float> scores;
    for (const float v : mean(x, {1, 2, 3}).to_vector<float>()) {
      const auto label = std::lround(10 * v);
      for (int k = 0, other = 0; k < 10; ++k)
        scores.push_back(k == label ? 10.5f - static_cast<float>(label)
                                    : 10 - static_cast<float>(other++));
    }
    return Tensor::from(scores, {x.size(0), 10});
  }
};

TEST(Evaluate, TopOneAndTopFiveOfTenPictures) {
  testing::Folder f;
  std::string list;
  for (int i = 0; i < 10; ++i) {
    const std::string synset = "n0144076" + std::to_string(i);
    const float value = static_cast<float>(i) / 10;
    f.picture("in/train/" + synset + "/" + synset + "_1.JPEG", value);
    f.picture("in/val/ILSVRC2012_val_" + std::to_string(i) + ".JPEG", value);
    list += "ILSVRC2012_val_" + std::to_string(i) + ".JPEG " + std::to_string(i) + "\n";
  }
  f.write("in/val.txt", list);
  const DataSplits d = open_dataset(f.path() + "/in");
  Ranked net(Scope::init());
  for (const DatasetPtr& part : {d.train, d.val}) {
    const Evaluation e = evaluate(net, part, Transform::parse("resize(4)"), 4, 0);
    EXPECT_EQ(e.labels.size(), 10u);
    EXPECT_NEAR(e.report.accuracy, 0.1, 1e-12);
    EXPECT_NEAR(e.top_k(1), 0.1, 1e-12);
    EXPECT_NEAR(e.top_k(5), 0.5, 1e-12);
    EXPECT_NEAR(e.top_k(10), 1, 1e-12);
  }
}

TEST(Evaluate, PicturesArePreparedBitForBitAsTheModelFileSays) {
  testing::Folder f;
  ModelInfo info;
  info.model = "lenet5";
  info.transform = Transform::parse(
                       "to_channels(1)|resize_short(34)|random_crop(32)|hflip|"
                       "normalize(mean=0.1307,std=0.3081)")
                       .str();
  info.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  info.input = {1, 32, 32};
  const auto net = make_model("lenet5", "", Scope::init(Key(1)));
  save_model(f.path() + "/a.safetensors", *net, info);
  const Model served = load_model(f.path() + "/a.safetensors");
  EXPECT_EQ(served.info.transform, info.transform);

  Rng rng(Key(2));
  std::vector<Sample> samples;
  for (int i = 0; i < 100; ++i) {
    Sample s;
    s.label = i % 10;
    s.image = Image(20 + i % 9, 24 + i % 5, i % 2 ? 3 : 1);
    for (float& p : s.image.pixels) p = static_cast<float>(rng.uniform());
    samples.push_back(s);
  }
  // As training evaluates: in batches, by threads. As prediction does: one by one, from the file.
  DataLoader loader(from_samples(samples, info.classes), Transform::parse(info.transform),
                    sequential(100), {.batch = 10, .workers = 2, .training = false});
  loader.start(0);
  const Transform transform = Transform::parse(served.info.transform);
  size_t i = 0;
  while (const auto b = loader.next()) {
    const size_t each = b->x.size() / 10;
    for (size_t k = 0; k < 10; ++k, ++i) {
      Sample one = samples[i];
      transform.apply(one, false, Key(i));
      const Batch alone = collate({one}, {static_cast<int64_t>(i)}, 10);
      const auto from = b->x.begin() + static_cast<ptrdiff_t>(k * each);
      ASSERT_TRUE(std::equal(alone.x.begin(), alone.x.end(), from)) << i;
    }
  }
  EXPECT_EQ(i, 100u);
}

}  // namespace
}  // namespace nacre
