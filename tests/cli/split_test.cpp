// What training says of its test part, evaluation says again.
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/program.h"

namespace nacre::test {
namespace {

TEST(Eval, SplitsAsTrainingDid) {
  const TempFolder folder;
  const std::string run = (folder / "run").string(), model = run + "/model.safetensors";
  const CommandResult trained = nacre("-q train logistic_regression --data " + kDigits +
                                      " --epochs 1 --seed 3 --test-share 0.3 --json --out " + run);
  ASSERT_EQ(trained.code, 0) << trained.output;
  const Json then = parse_json(trained.output, "train");
  const CommandResult again = nacre("-q eval " + model + " --data " + kDigits + " --json");
  ASSERT_EQ(again.code, 0) << again.output;
  Json now = parse_json(again.output, "eval");
  EXPECT_EQ(now.at("part").text(), "test");
  EXPECT_EQ(now.at("samples").integer(), then.at("samples").integer());
  EXPECT_EQ(print_json(now.at("confusion")), print_json(then.at("confusion")));

  const Json all = parse_json(
      nacre("-q eval " + model + " --data " + kDigits + " --part all --json").output, "eval");
  EXPECT_EQ(all.at("samples").integer(), 1797);
}

TEST(Eval, SaysWhenTheDataAreOthers) {
  const TempFolder folder;
  const std::string run = (folder / "run").string();
  std::string rows = "a,b,label\n";
  for (int i = 0; i < 60; ++i)
    rows += std::to_string(i % 7) + "," + std::to_string(i % 5) + (i % 2 ? ",x\n" : ",y\n");
  folder.write("one.csv", rows);
  folder.write("two.csv", rows + "3,1,x\n");
  ASSERT_EQ(
      nacre("-q train mlp --data " + (folder / "one.csv").string() + " --epochs 1 --out " + run)
          .code,
      0);
  const CommandResult r =
      nacre("eval " + run + "/model.safetensors --data " + (folder / "two.csv").string());
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(holds(r.output, "all samples")) << r.output;
  EXPECT_TRUE(holds(r.output, "not the data that the model was trained on")) << r.output;
}

TEST(Eval, DataMayLackClassesOfTheModel) {
  const TempFolder folder;
  const std::string grey[] = {"\x01\x02", "\x7f\x7e", "zz"}, names[] = {"a", "b", "c"};
  for (int k = 0; k < 3; ++k)
    for (int i = 0; i < 20; ++i) {
      const std::string file = names[k] + "/" + std::to_string(i) + ".pgm";
      const std::string picture = "P5 2 2 127\n" + grey[k] + std::string(2, char(40 * k + i));
      folder.write("all/" + file, picture);
      if (k > 0) folder.write("some/" + file, picture);
      folder.write("other/d" + file, picture);
    }
  const std::string run = (folder / "run").string();
  ASSERT_EQ(nacre("-q train logistic_regression --epochs 60 --lr 0.05 --data " +
                  (folder / "all").string() + " --out " + run)
                .code,
            0);
  const std::string eval = "eval " + run + "/model.safetensors --json --data ";
  const CommandResult r = nacre("-q " + eval + (folder / "some").string());
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "eval");
  EXPECT_EQ(j.at("samples").integer(), 40);
  EXPECT_GE(j.at("accuracy").number(), 0.9);
  expect_one_line(nacre(eval + (folder / "other").string()), 1, "only in the data: 'da', 'db'");
}

TEST(Train, TakesTargetAndTaskOfATable) {
  const TempFolder folder;
  std::string rows = "a,price,b\n";
  for (int i = 0; i < 100; ++i)
    rows +=
        std::to_string(i % 7) + "," + std::to_string(i % 12) + "," + std::to_string(i % 5) + "\n";
  folder.write("t.csv", rows);
  const std::string train = "-q train linear_regression --epochs 1 --json --data " +
                            (folder / "t.csv").string() + " --out " + (folder / "run").string();
  const CommandResult r = nacre(train + "1 --target price --task values");
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "\"rmse\"")) << r.output;
  expect_one_line(nacre(train + "2 --target cost"), 2, "there is no column 'cost'");
  expect_one_line(nacre(train + "3 --task numbers"), 2, "auto, classes, values");
}

TEST(Train, RefusesAModelThatDoesNotFitBeforeItMakesAFolder) {
  const TempFolder folder;
  folder.write("t.csv",
               "a,b,label\n1,2,x\n2,1,y\n3,4,x\n4,3,y\n5,6,x\n6,5,y\n7,8,x\n8,7,y\n"
               "1,3,x\n3,1,y\n2,4,x\n4,2,y\n");
  const std::string run = (folder / "run").string();
  const CommandResult r =
      nacre("-q train lenet5 --data " + (folder / "t.csv").string() + " --out " + run);
  expect_one_line(r, 2, "does not take samples of shape 2");
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST(Train, RefusesARunFolderInsideTheData) {
  const TempFolder folder;
  folder.write("data/a/1.txt", "x");
  expect_one_line(nacre("-q train cnn --data " + (folder / "data").string() + " --out " +
                        (folder / "data/run").string()),
                  2, "would be part of the data");
}

TEST(Resume, OfAFinishedRunKeepsItsSettings) {
  const TempFolder folder;
  const std::string run = (folder / "run").string();
  ASSERT_EQ(
      nacre("-q train logistic_regression --data " + kDigits + " --epochs 1 --out " + run).code, 0);
  const std::string before = folder.read("run/config.yaml");
  const CommandResult r = nacre("train --resume " + run + " --lr 5");
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "all 1 epochs")) << r.output;
  EXPECT_EQ(folder.read("run/config.yaml"), before);
}

}  // namespace
}  // namespace nacre::test
