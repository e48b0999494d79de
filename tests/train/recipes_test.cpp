// Every recipe that ships can be read, fits its model, is documented, and trains on data of the
// form that it names.
#include "nacre/recipes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "data/folder.h"

namespace nacre {
namespace {

std::string row_of(const Recipe& r) {
  return "| `" + r.name + "` | " + r.published + " | " + r.measured + " |";
}

/// The number after "random_resized_crop(" in a transform replaced.
std::string with_side(std::string transform, int64_t side) {
  const std::string step = "random_resized_crop(";
  const auto at = transform.find(step);
  EXPECT_NE(at, std::string::npos) << transform;
  const auto from = at + step.size(), to = transform.find_first_not_of("0123456789", from);
  return transform.replace(from, to - from, std::to_string(side));
}

std::string noise(size_t count, uint64_t seed) {
  Rng rng{Key(seed)};
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(rng.below(256));
  return bytes;
}

std::string big_endian(std::initializer_list<uint32_t> numbers) {
  std::string bytes;
  for (const uint32_t n : numbers)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(n >> shift);
  return bytes;
}

/// The four files of MNIST and of Fashion-MNIST, with 20 pictures each.
void write_idx(const testing::Folder& folder) {
  for (const char* part : {"train", "t10k"}) {
    std::string labels = big_endian({2049, 20});
    for (int i = 0; i < 20; ++i) labels += static_cast<char>(i % 10);
    folder.write(std::string(part) + "-labels-idx1-ubyte", labels);
    folder.write(std::string(part) + "-images-idx3-ubyte",
                 big_endian({2051, 20, 28, 28}) + noise(20 * 28 * 28, 1));
  }
}

/// The six files of CIFAR-10, with 4 pictures each.
void write_cifar(const testing::Folder& folder) {
  int label = 0;
  for (const char* name : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                           "data_batch_5", "test_batch"}) {
    std::string bytes;
    for (int i = 0; i < 4; ++i, ++label)
      bytes += static_cast<char>(label % 10) + noise(3 * 32 * 32, static_cast<uint64_t>(label));
    folder.write(std::string(name) + ".bin", bytes);
  }
  folder.write("batches.meta.txt",
               "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n");
}

/// Two classes of ImageNet with two pictures each in both parts.
void write_imagenet(const testing::Folder& folder) {
  Rng rng{Key(2)};
  for (const char* part : {"train", "val"})
    for (const char* name : {"n01440764", "n01443537"})
      for (int i = 0; i < 2; ++i) {
        Image image(40, 36, 3);
        for (float& p : image.pixels) p = static_cast<float>(rng.uniform());
        const auto png = encode_png(image);
        folder.write(cat({part, "/", name, "/", name, "_", i, ".png"}),
                     {reinterpret_cast<const char*>(png.data()), png.size()});
      }
}

/// Sixteen measures of 40 letters of two kinds.
void write_letters(const testing::Folder& folder) {
  Rng rng{Key(3)};
  std::string rows = "letter";
  for (int k = 0; k < 16; ++k) rows += cat({",m", k});
  for (int i = 0; i < 40; ++i) {
    rows += i % 2 ? "\nA" : "\nB";
    for (int k = 0; k < 16; ++k) rows += cat({",", rng.below(16)});
  }
  folder.write("letters.csv", rows + "\n");
}

class Recipes : public ::testing::TestWithParam<std::string> {};

TEST_P(Recipes, FitTheirModelAndAreDocumented) {
  const Recipe r = find_recipe(GetParam());
  r.config.check();
  EXPECT_TRUE(r.name.starts_with(r.config.model + "-"));
  EXPECT_TRUE(r.config.data.empty());
  EXPECT_TRUE(r.published.size() + r.measured.size() > 0) << "no result at all";
  model_options(r.config.model, r.config.options);  // throws for unknown ones
  std::ifstream in(std::string(NACRE_SOURCE_DIR) + "/docs/recipes.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(page.find(row_of(r)), std::string::npos) << "docs/recipes.md should have\n"
                                                     << row_of(r);
  // The file can be given to --config, too.
  const std::string path = std::string(NACRE_SOURCE_DIR) + "/recipes/" + r.name + ".yaml";
  EXPECT_EQ(TrainConfig::from_yaml_file(path).to_yaml(), r.config.to_yaml());
}

/// Two steps of a recipe on generated files of its data set; `small`: of the model's small form.
void expect_steps(Recipe r, bool small) {
  TrainConfig& c = r.config;
  const ModelEntry& entry = find_model(c.model);
  const testing::Folder folder;
  const std::string set = r.name.substr(r.name.rfind('-') + 1);
  if (set == "mnist" || set == "fashion") {
    write_idx(folder);
    if (small && c.model == "capsnet") c.options += " width=16 capsules=4";
  } else if (set == "cifar10") {
    write_cifar(folder);
    if (small) c.options += std::string(" ") + entry.tiny;
  } else if (set == "letters") {
    write_letters(folder);
  } else if (set != "digits") {
    ASSERT_EQ(set, "imagenet");
    write_imagenet(folder);
    const Shape& one = entry.tiny_input.empty() ? entry.input : entry.tiny_input;
    if (small) c.options += std::string(" ") + entry.tiny;
    if (small) c.transform = with_side(c.transform, one[2]);
  }
  c.data = set == "digits"    ? std::string(NACRE_SOURCE_DIR) + "/data/digits"
           : set == "letters" ? folder.path() + "/letters.csv"
                              : folder.path();
  c.epochs = c.schedule.starts_with("warmup") ? 40 : 1;
  c.batch = 2;
  c.accumulate = std::min<int64_t>(2, c.accumulate);
  c.workers = 0;
  Trainer trainer(c);
  EXPECT_GE(trainer.data().train->size(), 4);
  EXPECT_TRUE(trainer.data().test || trainer.data().val);
  LoaderOptions o;
  o.batch = c.batch;
  o.workers = 0;
  DataLoader loader(trainer.data().train, trainer.transform(), sequential(4), o);
  loader.start(0);
  while (const auto batch = loader.next()) EXPECT_TRUE(std::isfinite(trainer.step(*batch)));
}

TEST_P(Recipes, TrainOnDataOfTheFormTheyName) { expect_steps(find_recipe(GetParam()), true); }

TEST(RecipesAtFullSize, Train) {
  for (const char* name : {"resnet20-cifar10", "mobilenet_v2-imagenet"})
    expect_steps(find_recipe(name), false);
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const Recipe& r : all_recipes()) list.push_back(r.name);
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, Recipes, ::testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(RecipeTable, HasTheFilesOfTheFolder) {
  std::set<std::string> files;
  for (const auto& f :
       std::filesystem::directory_iterator(std::string(NACRE_SOURCE_DIR) + "/recipes"))
    files.insert(f.path().stem());
  const auto list = names();
  EXPECT_EQ(files, std::set<std::string>(list.begin(), list.end()));
  EXPECT_GE(list.size(), 30u);
}

TEST(RecipeTable, SaysWhatIsWrongWithAFile) {
  const auto refused = [](const std::string& text, const char* part) {
    const std::string m = testing::error_of([&] { parse_recipe("x", text); }, Error::Kind::usage);
    EXPECT_NE(m.find("recipe x"), std::string::npos) << m;
    EXPECT_NE(m.find(part), std::string::npos) << m;
  };
  const std::string head = "recipe:\n  about: a\n  data: b\n  source: c\n";
  EXPECT_EQ(parse_recipe("x", head + "epochs: 3\n").config.epochs, 3);
  refused("epochs: 3\n", "no part 'recipe'");
  refused("recipe:\n  about: a\n  data: b\n", "'source'");
  refused(head + "  result: 3\n", "'result'");
  refused(head + "  published: 3\n", "'published'");
  refused(head + "epoch: 3\n", "'epoch'");
  refused(head + "- 3\n", ":5:");
}

TEST(RecipeTable, NamesKnownOnes) {
  const std::string m = testing::error_of([] { find_recipe("resnet20"); }, Error::Kind::usage);
  EXPECT_NE(m.find("resnet20-cifar10"), std::string::npos) << m;
}

}  // namespace
}  // namespace nacre
