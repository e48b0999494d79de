// Settings that cannot be meant are refused before any data are read.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/program.h"
#include "nacre/error.h"
#include "nacre/train.h"

namespace nacre {
namespace {

using test::expect_one_line;
using test::holds;
using test::kDigits;
using test::kProgram;
using test::nacre;
using test::run_command;
using test::TempFolder;

/// What is refused, or "".
std::string refusal(const std::string& name, const std::string& value) {
  TrainConfig c;
  try {
    c.set(name, value);
    c.check();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::usage);
    return e.what();
  }
  return "";
}

TEST(Settings, HaveRanges) {
  const std::pair<const char*, std::vector<const char*>> bad[] = {
      {"lr", {"-1", "nan", "inf", ".inf", ".nan", "0", "one"}},
      {"ema", {"2", "1", "-0.1"}},
      {"momentum", {"5", "1", "-1"}},
      {"l1", {"-1", ".inf"}},
      {"l2", {"-1"}},
      {"clip_norm", {"-1"}},
      {"patience", {"-1", "1.5"}},
      {"checkpoint_every", {"-1"}},
      {"memory_limit", {"-1", "2XB", "much"}},
      {"weight_decay", {"-0.01"}},
      {"label_smoothing", {"2", "1", "-1"}},
      {"epochs", {"0", "-3", "99999999999999999999"}},
      {"batch", {"0", "-1", "100000000000"}},
      {"accumulate", {"0"}},
      {"workers", {"-1", "1000"}},
      {"val_share", {"-0.1", "1"}},
      {"test_share", {"-1", "1.5"}},
      {"loss", {"hinge", ""}},
      {"sampler", {"random"}},
      {"on_error", {"hope"}},
      {"schedule",
       {"step:0:0.1", "step:-1", "step:nan", "cosine:0", "multi_step:0,5", "plateau:-1",
        "exponential:-1", "warmup:-1+cosine", "warmup:1e300+cosine"}},
  };
  for (const auto& [name, values] : bad)
    for (const char* value : values)
      EXPECT_TRUE(holds(refusal(name, value), name)) << name << "=" << value;
  const std::pair<const char*, const char*> good[] = {
      {"lr", "1e-9"},         {"lr", "0x10"},
      {"ema", "0.999"},       {"momentum", "0"},
      {"patience", "3"},      {"label_smoothing", "0.1"},
      {"schedule", "step:1"}, {"schedule", "warmup:0.5+plateau:0:0.5"}};
  for (const auto& [name, value] : good) EXPECT_EQ(refusal(name, value), "") << name;
}

TEST(Settings, MeanTheSameInAFileAndOnTheCommandLine) {
  TempFolder folder;
  for (const char* text : {"0x10", "1e-3", ".5", "12"}) {
    folder.write("c.yaml", std::string("lr: ") + text + "\n");
    TrainConfig c;
    c.set("lr", text);
    EXPECT_EQ(TrainConfig::from_yaml_file(folder / "c.yaml").lr, c.lr) << text;
  }
}

TEST(Settings, AreRefusedBeforeTheDataAreRead) {
  TempFolder folder;
  expect_one_line(nacre("train lenet5 --lr -1 --data nowhere"), 2, "lr");
  expect_one_line(nacre("train lenet5 --lr 0 --find-lr --data nowhere"), 1, "nowhere");
  folder.write("c.yaml", "lr: [1, 2\n");
  expect_one_line(nacre("train --data nowhere --config " + (folder / "c.yaml").string()), 2,
                  "c.yaml");
  for (const char* classes : {"0", "-1"})
    expect_one_line(nacre(std::string("zoo show lenet5 --options classes=") + classes), 2,
                    "classes");
}

TEST(Settings, OfARecipeAreFoundByItsName) {
  expect_one_line(nacre("train --recipe resnet20-cifar"), 2, "did you mean resnet20-cifar10?");
  expect_one_line(nacre("zoo recipes cnn-mnits"), 2, "did you mean cnn-mnist?");
  expect_one_line(nacre("zoo recipes resnet20"), 2, "there are alexnet-imagenet, ");
  expect_one_line(nacre("train --recipe resnet20-cifar10"), 2, "--data with CIFAR-10");
  expect_one_line(nacre("train mlp --recipe resnet20-cifar10 --data x"), 2, "trains resnet20");
  expect_one_line(nacre("train --recipe cnn-mnist --resume x"), 2, "beside --resume");
  expect_one_line(nacre("train --recipe cnn-mnist --config x"), 2, "beside --config");
  const TempFolder folder;
  const auto r = nacre("-q train --recipe cnn-mnist --data " + kDigits +
                       " --epochs 1 --val-share 0.5 --test-share 0.4 --options widths=4 "
                       "--transform auto --out " +
                       folder.str() + "/run");
  EXPECT_EQ(r.code, 0) << r.output;
  const std::string config = folder.read("run/config.yaml");
  EXPECT_TRUE(holds(config, "schedule: one_cycle")) << config;
  EXPECT_TRUE(holds(config, "weight_decay: 0.02")) << config;
  EXPECT_TRUE(holds(config, "epochs: 1\n")) << config;
  EXPECT_TRUE(holds(nacre("zoo recipes cnn-mnist").output, "weight_decay: 0.02"));
  EXPECT_TRUE(holds(nacre("zoo show cnn").output, "cnn-mnist"));
}

TEST(Settings, FitTheData) {
  TempFolder folder;
  const std::string common = "-q train mlp --data " + kDigits + " --out " + folder.str() + "/run ";
  for (const char* classes : {"20", "3"})
    expect_one_line(nacre(common + "--options classes=" + classes), 2, classes);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Settings, PartsHaveTheSameClasses) {
  TempFolder folder;
  const auto write = [&](const std::string& stem, const std::string& labels) {
    const auto n = static_cast<char>(labels.size());
    const std::string zero(3, '\0'), count = zero + n, side = zero + '\x08';
    folder.write("idx/" + stem + "-labels-idx1-ubyte",
                 std::string("\0\0\x08\x01", 4) + count + labels);
    folder.write("idx/" + stem + "-images-idx3-ubyte", std::string("\0\0\x08\x03", 4) + count +
                                                           side + side +
                                                           std::string(labels.size() * 64, 'x'));
  };
  std::string labels;
  for (char i = 0; i < 60; ++i) labels += static_cast<char>(i % 3);
  write("t10k", labels);
  write("train", labels + '\xc8');
  const std::string command =
      "-q train mlp --data " + (folder / "idx").string() + " --out " + folder.str() + "/run";
  expect_one_line(nacre(command), 1, "201");
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Settings, ALabelThatIsNoClassIsNamed) {
  TempFolder folder;
  const std::string zero(3, '\0');
  std::string labels;
  for (char i = 0; i < 60; ++i) labels += static_cast<char>(i % 12);
  folder.write("fashion/train-labels-idx1-ubyte",
               std::string("\0\0\x08\x01", 4) + zero + '<' + labels);
  folder.write("fashion/train-images-idx3-ubyte", std::string("\0\0\x08\x03", 4) + zero + '<' +
                                                      zero + '\x08' + zero + '\x08' +
                                                      std::string(60 * 64, 'x'));
  const std::string data = (folder / "fashion").string();
  expect_one_line(nacre("-q train mlp --data " + data + " --out " + folder.str() + "/run"), 1,
                  "picture 10 has the class 10, the 10 classes are 0 to 9");
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Settings, AModelToStartFromHasToFit) {
  TempFolder folder;
  const std::string common = "-q train logistic_regression --epochs 1 --data " + kDigits;
  ASSERT_EQ(nacre(common + " --out " + folder.str() + "/a").code, 0);
  const std::string from = " --from " + folder.str() + "/a/model.safetensors";
  const auto r = nacre("-q train lenet5 --epochs 1 --data " + kDigits + from + " --out " +
                       folder.str() + "/b");
  expect_one_line(r, 1, "no parameter");
  const auto same = nacre(common + from + " --out " + folder.str() + "/c");
  EXPECT_EQ(same.code, 0) << same.output;
}

TEST(Settings, OnErrorSkipLeavesOutWhatCannotBeRead) {
  TempFolder folder;
  const std::string pictures = folder / "pictures", out = folder / "run";
  ASSERT_EQ(nacre("-q data convert " + kDigits + " " + pictures).code, 0);
  std::ofstream(pictures + "/train/3/broken.png") << "no picture";
  const std::string common = "-q train logistic_regression --epochs 1 --data " + pictures;
  const auto strict = nacre(common + " --out " + folder.str() + "/strict");
  EXPECT_EQ(strict.code, 1);
  EXPECT_TRUE(holds(strict.output, "broken.png")) << strict.output;
  const auto r = nacre(common + " --on-error skip --out " + out);
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "1 of 1798 samples")) << r.output;
  EXPECT_TRUE(holds(folder.read("run/config.yaml"), "on_error: skip"));
  EXPECT_EQ(refusal("on_error", "hope").find("setting 'on_error'"), 0u);
}

TEST(Environment, UnknownValuesAreNamed) {
  for (const char* setting :
       {"NACRE_THREADS=many", "NACRE_THREADS=0", "NACRE_LOG=loud", "NACRE_DISABLE_PASSES=fues"}) {
    const auto r = run_command(std::string(setting) + " " + kProgram + " zoo list");
    EXPECT_EQ(r.code, 0);
    const std::string name = std::string(setting).substr(0, std::string(setting).find('='));
    EXPECT_TRUE(holds(r.output, "warning: " + name)) << r.output;
  }
  const auto fine = run_command("NACRE_THREADS=2 NACRE_BACKEND=ref NACRE_DISABLE_PASSES=fuse,cse " +
                                kProgram + " zoo list");
  EXPECT_FALSE(holds(fine.output, "warning")) << fine.output;
  EXPECT_TRUE(holds(nacre("zoo list --threads 1000").output, "too many"));
}

TEST(Environment, AnotherDeviceIsRefusedInOneSentence) {
  const std::string train = "train mlp --epochs 1 --data " + kDigits + " --out ";
  const TempFolder folder;
  const std::string out = folder.str() + "/run";
  for (const std::string& command : {train + out, std::string("zoo list")})
    expect_one_line(run_command("NACRE_BACKEND=cuda " + kProgram + " " + command), 2,
                    "NACRE_BACKEND is 'cuda', but nacre computes on the processor: known are cpu "
                    "and ref");
  expect_one_line(nacre(train + out + " --device cuda"), 2, "there is no --device");
  expect_one_line(nacre("predict model.safetensors --device=cuda:0 a.png"), 2,
                  "there is no --device=cuda:0: nacre computes on the processor");
  folder.write("c.yaml", "model: mlp\ndevice: gpu\n");
  expect_one_line(nacre("train --config " + folder.str() + "/c.yaml --data " + kDigits), 2,
                  "there is no setting 'device': nacre computes on the processor, where 'gpu'");
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace nacre
