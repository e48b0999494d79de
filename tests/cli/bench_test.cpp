#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"
#include "nacre/formats.h"
#include "nacre/zoo.h"

namespace nacre::test {
namespace {

TEST(CommandBench, SavesResultsAndComplainsOfSlowerOnes) {
  const TempFolder folder;
  const std::string save = (folder / "now.json"), page = (folder / "page.html");
  const CommandResult r =
      nacre("bench lenet5 --seconds 0 --batch 2 --save " + save + " --html " + page);
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "lenet5")) << r.output;
  EXPECT_TRUE(holds(read_file(page, 1 << 24), "Roofline"));
  Json results = parse_json(read_file(save, 1 << 20), save);
  ASSERT_EQ(results.list().size(), 1u);
  EXPECT_EQ(results.list()[0].at("macs").integer(), 2 * 416520);

  const std::string same = "bench lenet5 --seconds 0 --batch 2 --json --against " + save;
  const auto pretend = [&](double milliseconds) {
    results.list()[0]["p50_ms"] = milliseconds;
    write_file_atomic(save, print_json(results));
  };
  pretend(1e6);
  EXPECT_EQ(nacre(same).code, 0);
  pretend(1e-6);
  const CommandResult slow = nacre(same);
  EXPECT_EQ(slow.code, 1);
  EXPECT_TRUE(holds(slow.output, "lenet5 (infer, batch 2) takes ")) << slow.output;

  const CommandResult other = nacre("bench lenet5 --seconds 0 --batch 3 --json --against " + save);
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(holds(other.output, "holds none of the models")) << other.output;
  results.list()[0]["precision"] = "bf16";
  write_file_atomic(save, print_json(results));
  expect_one_line(nacre(same), 2, "was measured in bf16, this would be in f32");
}

TEST(CommandBench, OptionsOfTheInputChangeWhatIsGiven) {
  const TempFolder folder;
  const CommandResult r =
      nacre("bench resnet20 --options 'channels=1 blocks=1 width=4' --seconds 0 --json --values " +
            folder.str());
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_EQ(load_npy(folder / "input.npy").shape, (Shape{1, 1, 32, 32}));
}

TEST(CommandBench, WritesWhatOthersNeedForTheSameWork) {
  const TempFolder folder;
  const CommandResult r =
      nacre("bench lenet5 --seconds 0 --batch 2 --train --json --values " + folder.str());
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_EQ(load_npy(folder / "input.npy").shape, (Shape{2, 1, 32, 32}));
  EXPECT_EQ(load_npy(folder / "labels.npy").shape, Shape{2});
  EXPECT_EQ(load_npy(folder / "values.npy").shape, Shape{3});
  // The weights are those before the first step: in evaluation they give the first loss.
  const Model m = load_model(folder / "model.safetensors");
  Context ctx = Context::eval();
  const Tensor y = (*m.net)(copied_tensor(load_npy(folder / "input.npy")), ctx);
  const Tensor loss = cross_entropy(y, copied_tensor(load_npy(folder / "labels.npy")));
  const RawTensor losses = load_npy(folder / "values.npy");
  EXPECT_NEAR(loss.item(), static_cast<const double*>(losses.data)[0], 1e-5);

  expect_one_line(nacre("bench lenet5 mlp --values " + folder.str()), 2,
                  "--values is for one model, not for 2");
}

TEST(CommandBench, RefusesWhatIsNoModel) {
  const CommandResult r = nacre("bench lenet6");
  EXPECT_NE(r.code, 0);
  EXPECT_TRUE(holds(r.output, "lenet5")) << r.output;
}

TEST(CommandBench, FindsAtOnceWhatWouldFailAtTheEnd) {
  expect_one_line(nacre("bench lenet5 --save /nonexistent/a.json"), 1,
                  "there is no folder '/nonexistent'");
  expect_one_line(nacre("bench lenet5 --against /nonexistent.json"), 1, "/nonexistent.json");
  expect_one_line(nacre("bench lenet5 --bound 5"), 2, "--bound requires --against");
}

TEST(CommandModels, SaysWhereWeightsBelong) {
  const TempFolder folder;
  const std::string weights = folder / "w.npz", run = folder / "run";
  ASSERT_EQ(nacre("train lenet5 --data " + kDigits + " --epochs 1 --out " + run).code, 0);
  ASSERT_EQ(nacre("convert " + run + "/model.safetensors " + weights).code, 0);
  expect_one_line(nacre("bench " + weights), 2, "--model NAME` puts them into a model");
  const CommandResult shown = nacre("zoo show " + run + "/model.safetensors");
  EXPECT_EQ(shown.code, 0);
  EXPECT_TRUE(holds(shown.output, "classes     0, 1, 2")) << shown.output;
  EXPECT_TRUE(holds(shown.output, "parameters  61706")) << shown.output;
  // An array under any other name than the model's.
  const CommandResult other =
      nacre("run " + run + "/model.safetensors --input x=" + weights + " --output " + run);
  EXPECT_NE(other.code, 0) << other.output;
}

TEST(CommandBench, TakesTheBatchFromTheShape) {
  const TempFolder folder;
  const std::string file = folder / "net.onnx";
  ASSERT_EQ(nacre("convert lenet5 " + file).code, 0);
  const std::string bench = "bench --seconds 0 " + file + " --shape input=3x1x32x32";
  const CommandResult r = nacre(bench + " --json");
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "\"batch\": 3")) << r.output;
  expect_one_line(nacre(bench + " --batch 5"), 2, "--shape says a batch of 3, --batch 5");
}

TEST(CommandBench, TunesForLaterRuns) {
  const TempFolder folder;
  const std::string file = folder / "kernels.json", with = "NACRE_KERNELS=" + file;
  const auto bench = [&](const std::string& more) {
    return run_command(with + " " + kProgram + " bench lenet5 --seconds 0 --train" + more);
  };
  const CommandResult tuned = bench(" --tune");
  EXPECT_EQ(tuned.code, 0) << tuned.output;
  EXPECT_TRUE(holds(tuned.output, "choices of kernels are kept in " + file)) << tuned.output;
  Json j = parse_json(read_file(file, 1 << 20), file);
  // Two convolutions forward, two gradients of weights, one of an input.
  ASSERT_EQ(j.at("choices").size(), 5u) << print_json(j, 2);

  for (auto& [work, way] : j["choices"].fields()) way = "im2col";
  write_file_atomic(file, print_json(j));
  const auto im2col = [&] { return holds(bench("").output, "im2col"); };
  EXPECT_TRUE(im2col());
  j["machine"] = "another";
  write_file_atomic(file, print_json(j));
  EXPECT_FALSE(im2col());
  write_file_atomic(file, "{\"machine\": 1");
  const CommandResult damaged = bench("");
  EXPECT_EQ(damaged.code, 0) << damaged.output;
  EXPECT_TRUE(holds(damaged.output, "kernels are chosen by the cost model")) << damaged.output;
}

}  // namespace
}  // namespace nacre::test
