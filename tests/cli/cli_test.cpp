// The program as its users meet it: help, mistakes, failing disks, and every command once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"
#include "nacre/data.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

using test::expect_one_line;
using test::holds;
using test::kDigits;
using test::nacre;
using test::run_command;
using test::TempFolder;

/// A trained model and a picture, made once.
class Cli : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    const auto r = nacre("-q train lenet5 --data " + kDigits + " --epochs 3 --out " + path("run"));
    ASSERT_EQ(r.code, 0) << r.output;
    const Sample s = open_dataset(kDigits).train->get(0);
    write_png(path("digit.png"), s.image);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string path(const std::string& name) { return *folder_ / name; }
  static std::string model() { return path("run/model.safetensors"); }
  static TempFolder* folder_;
};
TempFolder* Cli::folder_ = nullptr;

TEST_F(Cli, HelpShowsAnExample) {
  EXPECT_EQ(nacre("--help").code, 0);
  for (const char* command : {"train", "eval", "predict", "zoo", "data", "doctor", "demo"}) {
    const auto r = nacre(std::string(command) + " --help");
    EXPECT_EQ(r.code, 0);
    EXPECT_TRUE(holds(r.output, "Example:\n  nacre " + std::string(command))) << r.output;
  }
}

TEST(Demo, TrainsAndDrawsAndReports) {
  TempFolder folder;
  const std::string out = (folder / "run").string();
  const auto r = nacre("-q demo --epochs 2 --out " + out);
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "test accuracy ")) << r.output;
  size_t bars = 0;
  for (size_t at = 0; (at = r.output.find(" %\n", at)) != std::string::npos; ++at) ++bars;
  EXPECT_GE(bars, 9u) << r.output;  // three classes for each of three pictures
  for (const char* file : {"model.safetensors", "report.html", "metrics.jsonl"})
    EXPECT_TRUE(file_exists(out + "/" + file)) << file;
  EXPECT_TRUE(holds(r.output, out + "/report.html")) << r.output;
}

TEST(Train, ALossThatIsNotFiniteIsOneSentenceAndCode1) {
  TempFolder folder;
  expect_one_line(nacre("-q train lenet5 --epochs 2 --lr 1e9 --data " + kDigits + " --out " +
                        (folder / "run").string()),
                  1, "a smaller learning rate than");
}

TEST(Dump, ShowsTheGraphBeforeAndAfterPasses) {
  TempFolder folder;
  const auto dump = [](const std::string& to) {
    return run_command("NACRE_DUMP=" + to + " " + test::kProgram + " -q bench lenet5 --seconds 0");
  };
  folder.write("file", "");
  EXPECT_TRUE(holds(dump(folder / "file").output, "graphs cannot be written to"));
  const std::string made = folder / "made";  // by the first graph
  const auto r = dump(made);
  ASSERT_EQ(r.code, 0) << r.output;
  int recorded = 0, fused = 0, drawn = 0;
  for (const auto& f : std::filesystem::directory_iterator(made)) {
    const std::string name = f.path().filename();
    if (name.ends_with(".json")) {
      EXPECT_FALSE(parse_json(folder.read("made/" + name), name).at("nodes").list().empty())
          << name;
      recorded += holds(name, "-0-recorded");
      fused += holds(name, "-fuse");
    }
    if (name.ends_with(".dot")) drawn += folder.read("made/" + name).starts_with("digraph");
  }
  EXPECT_GE(recorded, 1);
  EXPECT_GE(fused, 1);
  EXPECT_GE(drawn, recorded + fused);
}

TEST_F(Cli, EvalShowsTheShareOfZerosAfterEachRelu) {
  const auto r = nacre("eval " + model() + " --data " + kDigits + " --sparsity --json");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json zeros = parse_json(r.output, "output").at("sparsity");
  for (const char* layer : {"conv1", "conv2", "fc1", "fc2"}) {
    EXPECT_GT(zeros.at(layer).number(), 0.05) << r.output;
    EXPECT_LT(zeros.at(layer).number(), 0.95) << r.output;
  }
  const auto text = nacre("eval " + model() + " --data " + kDigits + " --sparsity");
  EXPECT_TRUE(holds(text.output, "ReLU")) << text.output;
}

TEST_F(Cli, MistakesInOptionsAreOneLineAndCode2) {
  expect_one_line(nacre("train lenet5 --data x --speed 9"), 2, "--speed");
  expect_one_line(nacre("trian"), 2, "trian");
  expect_one_line(nacre(""), 2, "A subcommand is required");
  expect_one_line(nacre("train lenet4 --data " + kDigits), 2, "lenet5");
  expect_one_line(nacre("train lenet5"), 2, "--data");
  expect_one_line(nacre("train lenet5 --epochs many --data " + kDigits), 2, "many");
  expect_one_line(
      nacre("train lenet5 --optimizer adamm --data " + kDigits + " --out " + path("never")), 2,
      "adamm");
  expect_one_line(nacre("-q train lenet5 --data " + kDigits + " --out " + path("run")), 2,
                  "--resume");
  expect_one_line(nacre("zoo show lenet6"), 2, "lenet5");
}

TEST_F(Cli, BadFilesAreOneLineAndCode1) {
  expect_one_line(nacre("train lenet5 --data " + path("nowhere")), 1, "nowhere");
  folder_->write("empty.png", "");
  expect_one_line(nacre("predict " + model() + " " + path("empty.png")), 1, "empty.png");
  expect_one_line(nacre("predict " + model() + " " + path("none.png")), 1, "none.png");
  const std::string bytes = folder_->read("run/model.safetensors");
  for (const size_t size : {size_t{0}, size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
    folder_->write("cut.safetensors", bytes.substr(0, size));
    expect_one_line(nacre("predict " + path("cut.safetensors") + " " + path("digit.png")), 1,
                    "cut.safetensors");
  }
  folder_->write("file", "");
  expect_one_line(nacre("-q train lenet5 --data " + kDigits + " --out " + path("file/run")), 1,
                  "file");
}

TEST_F(Cli, AFullDiskStopsTrainingAndKeepsTheCheckpoint) {
  const std::string train = "-q train logistic_regression --epochs 3 --data " + kDigits;
  int failures = 0;
  for (const int write : {1, 20, 60, 75}) {
    const std::string out = path("full" + std::to_string(write));
    const auto r = run_command("NACRE_WRITE_FAULT=" + std::to_string(write) + ":28 " +
                               NACRE_BUILD_DIR + "/nacre " + train + " --out " + out);
    if (r.code == 0) continue;  // the run has fewer writes
    ++failures;
    expect_one_line(r, 1, "no space left");
    if (access((out + "/checkpoints/last.safetensors").c_str(), F_OK) == 0) {
      const auto again = nacre("-q train --resume " + out);
      EXPECT_EQ(again.code, 0) << again.output;
    }
  }
  EXPECT_GE(failures, 2);
}

TEST_F(Cli, PredictsPicturesAsJsonAndFromStandardInput) {
  const auto r = nacre("predict --json --top 10 " + model() + " " + path("digit.png"));
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  double sum = 0;
  for (const Json& c : j.at("classes").list()) sum += c.at("probability").number();
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(j.at("classes").size(), 10u);
  EXPECT_EQ(j.at("label"), j.at("classes").list()[0].at("label"));
  const auto piped = nacre("predict --json --top 10 " + model() + " - < " + path("digit.png"));
  EXPECT_EQ(piped.code, 0);
  EXPECT_EQ(parse_json(piped.output, "output").at("classes"), j.at("classes"));
  folder_->write("broken.png", "no picture");
  const auto two = nacre("predict " + model() + " " + path("broken.png") + " " + path("digit.png"));
  EXPECT_EQ(two.code, 1);
  EXPECT_TRUE(holds(two.output, "digit.png: ")) << two.output;
  // What lies among pictures by chance is named and passed over.
  folder_->write("mixed/digit.png", folder_->read("digit.png"));
  folder_->write("mixed/notes.txt", "no picture");
  const auto all = nacre("predict " + model() + " " + path("mixed"));
  EXPECT_EQ(all.code, 0) << all.output;
  EXPECT_TRUE(holds(all.output, "notes.txt is no picture or clip and is passed over"))
      << all.output;
  std::filesystem::remove(path("mixed/digit.png"));
  EXPECT_EQ(nacre("predict " + model() + " " + path("mixed")).code, 1);
}

TEST_F(Cli, ABrokenPictureIsNamedWithTheCommandThatFindsAll) {
  const std::string picture = folder_->read("digit.png");
  for (int i = 0; i < 12; ++i)
    folder_->write(cat({"set/", i % 2 ? "odd/" : "even/", i, ".png"}), picture);
  folder_->write("set/odd/broken.png", "no picture");
  expect_one_line(
      nacre("-q train lenet5 --data " + path("set") + " --epochs 1 --out " + path("broken")), 1,
      "`nacre data check " + path("set") + "` names all such files");
}

TEST_F(Cli, ModelsBringTheirSettingsAndOptionsGoBefore) {
  const std::string train = "-q train perceptron --data " + kDigits + " --epochs 2 --lr 0.5 --out ";
  const auto r = nacre(train + path("perceptron"));
  ASSERT_EQ(r.code, 0) << r.output;
  const std::string config = folder_->read("perceptron/config.yaml");
  for (const char* line : {"loss: perceptron", "optimizer: sgd", "schedule: constant", "lr: 0.5"})
    EXPECT_TRUE(holds(config, line)) << config;
  const auto e = nacre("eval " + path("perceptron/model.safetensors") + " --data " + kDigits +
                       " --part all --json");
  ASSERT_EQ(e.code, 0) << e.output;
  const Json j = parse_json(e.output, "output");
  EXPECT_NEAR(j.at("loss").number(), 1 - j.at("accuracy").number(), 1e-9);  // share of mistakes
  expect_one_line(nacre(train + path("never") + " --loss hinge"), 2, "hinge");
}

TEST_F(Cli, EvaluatesAsJson) {
  const auto r = nacre("eval --json " + model() + " --data " + kDigits);
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  EXPECT_GT(j.at("accuracy").number(), 0.5);
  EXPECT_LE(j.at("accuracy").number(), 1);
  int64_t counted = 0;
  for (const Json& row : j.at("confusion").list())
    for (const Json& n : row.list()) counted += n.integer();
  EXPECT_EQ(counted, j.at("samples").integer());
}

TEST_F(Cli, ListsModels) {
  const auto list = nacre("zoo list --json");
  ASSERT_EQ(list.code, 0);
  EXPECT_EQ(parse_json(list.output, "list").size(), all_models().size());
  EXPECT_TRUE(holds(nacre("zoo list").output, "lenet5"));
  const auto show = nacre("zoo show lenet5 --json");
  ASSERT_EQ(show.code, 0);
  const Json j = parse_json(show.output, "show");
  EXPECT_EQ(j.at("parameters").integer(), find_model("lenet5").parameters);
  EXPECT_EQ(j.at("macs").integer(), find_model("lenet5").macs);
  EXPECT_EQ(nacre("zoo show lenet5").code, 0);
}

TEST_F(Cli, InfoGoesOnWhereAPictureIsBroken) {
  ASSERT_EQ(nacre("-q data convert " + kDigits + " " + path("broken")).code, 0);
  std::vector<std::filesystem::path> zeros;
  for (const auto& f : std::filesystem::directory_iterator(path("broken/train/0")))
    zeros.push_back(f.path());
  const auto first = std::min_element(zeros.begin(), zeros.end());
  std::ofstream(*first) << "no picture";
  const auto info = nacre("data info " + path("broken"));
  EXPECT_EQ(info.code, 0) << info.output;
  for (const std::string& part :
       {std::string("8x8 pictures, 1 channel"), std::string("1797"), first->string(),
        std::string("1 of 64 samples that were looked at cannot be read"),
        std::string("`nacre data check ")})
    EXPECT_TRUE(holds(info.output, part)) << part << " in " << info.output;
  const auto json = nacre("data info --json " + path("broken"));
  EXPECT_EQ(json.code, 0);
  EXPECT_TRUE(holds(parse_json(json.output, "info").at("trouble").text(), "1 of 64 samples"));
}

TEST_F(Cli, LooksAtAndConvertsData) {
  const auto info = nacre("data info --json " + kDigits);
  ASSERT_EQ(info.code, 0) << info.output;
  const Json before = parse_json(info.output, "info");
  EXPECT_EQ(before.at("train").integer(), 1797);
  const auto check = nacre("data check --json " + kDigits);
  EXPECT_EQ(check.code, 0) << check.output;
  EXPECT_TRUE(parse_json(check.output, "check").is_list());
  ASSERT_EQ(nacre("-q data convert " + kDigits + " " + path("pictures")).code, 0);
  const auto again = nacre("data info --json " + path("pictures"));
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_EQ(parse_json(again.output, "info").at("classes"), before.at("classes"));
  ASSERT_EQ(nacre("-q data convert " + path("pictures") + " " + path("back.csv")).code, 0);
  EXPECT_EQ(parse_json(nacre("data info --json " + path("back.csv")).output, "info").at("train"),
            before.at("train"));
  expect_one_line(nacre("-q data convert " + kDigits + " " + path("pictures")), 2, "pictures");
  // A file for each part, with the names of the columns.
  folder_->write("parts/train.csv", "x,kind\n1,a\n2,b\n");
  folder_->write("parts/test.csv", "x,kind\n3,a\n");
  const auto parts = nacre("-q data convert " + path("parts") + " " + path("all.csv"));
  EXPECT_EQ(parts.code, 0) << parts.output;
  EXPECT_EQ(read_file(path("all_train.csv"), 99), "x,kind\n1,a\n2,b\n");
  EXPECT_EQ(read_file(path("all_test.csv"), 99), "x,kind\n3,a\n");
}

TEST_F(Cli, DoctorIsWell) {
  const auto r = nacre("doctor --json");
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(parse_json(r.output, "doctor").at("self-test").text(), "passed"));
}

TEST_F(Cli, ThreadsAreAsManyAsTheCoresThatMayBeUsed) {
  const auto threads_of = [](const std::string& before) {
    const auto r = run_command(before + " " + test::kProgram + " doctor --json");
    return parse_json(r.output, "doctor").at("threads").text();
  };
  EXPECT_EQ(threads_of("env -u NACRE_THREADS taskset -c 0"), "1");
  EXPECT_EQ(threads_of("env NACRE_THREADS=3 taskset -c 0"), "3");
  // Binding keeps the first thread on one core, and what it starts.
  EXPECT_EQ(threads_of("env -u NACRE_THREADS OMP_PROC_BIND=true"),
            threads_of("env -u NACRE_THREADS"));
}

}  // namespace
}  // namespace nacre
