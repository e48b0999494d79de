// Models as executables, and the C interface of the runtime.
#include <gtest/gtest.h>

#include "cli/program.h"
#include "embed/trailer.h"
#include "nacre/formats.h"
#include "onnx/make_model.h"

namespace nacre::test {
namespace {

class Runner : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TempFolder;
    const std::string model = (*folder / "m.safetensors").string();
    ASSERT_EQ(
        nacre("train lenet5 --data " + kDigits + " --epochs 1 --quiet --out " + path("run")).code,
        0);
    std::filesystem::copy_file(path("run/model.safetensors"), model);
    // Of the shape of the network, but in its steps a picture of any size is made that shape.
    std::string picture = "P5 8 8 255\n";
    for (int k = 0; k < 64; ++k) picture += static_cast<char>(k * 4);
    folder->write("d.pgm", picture);
  }
  static void TearDownTestSuite() { delete folder; }
  static std::string path(const std::string& name) { return (*folder / name).string(); }
  static TempFolder* folder;
};
TempFolder* Runner::folder = nullptr;

TEST_F(Runner, OneExecutable) {
  const CommandResult made =
      nacre("convert " + path("m.safetensors") + " --to exe --check --output " + path("digits"));
  ASSERT_EQ(made.code, 0) << made.output;
  EXPECT_TRUE(holds(made.output, "largest difference")) << made.output;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(std::filesystem::file_size(path("digits")), 2u << 20);
#endif
  const CommandResult json = run_command(path("digits") + " --json --top 2 " + path("d.pgm"));
  EXPECT_EQ(json.code, 0) << json.output;
  const CommandResult want =
      nacre("predict " + path("m.safetensors") + " " + path("d.pgm") + " --top 2 --json");
  // Both begin with the same class.
  const auto first = [](const std::string& text) {
    const size_t at = text.find("\"label\"");
    return at == text.npos ? "none in " + text
                           : text.substr(text.find_first_of("0123456789", at), 1);
  };
  EXPECT_EQ(first(json.output), first(want.output));
  const CommandResult piped = run_command(path("digits") + " - < " + path("d.pgm"));
  EXPECT_EQ(piped.code, 0) << piped.output;
  EXPECT_TRUE(piped.output.starts_with("-: ")) << piped.output;
  EXPECT_TRUE(holds(run_command(path("digits") + " --info").output, "model    lenet5"));
  EXPECT_TRUE(holds(run_command(path("digits") + " --bench 3").output, "3 runs, median"));
  std::filesystem::copy_file(path("digits"), path("cut"));
  std::filesystem::resize_file(path("cut"), std::filesystem::file_size(path("cut")) - 1);
  expect_one_line(run_command(path("cut") + " " + path("d.pgm")), 1, "is damaged");
  expect_one_line(run_command(path("digits") + " --top 0 x.pgm"), 2, "a number from 1");
  expect_one_line(run_command(path("digits") + " /nowhere.pgm"), 1, "no such file");
  folder->write("d.png", "\x89PNG\r\n\x1a\n");
  expect_one_line(run_command(path("digits") + " " + path("d.png")), 1,
                  "the runtime reads PGM, PPM and BMP pictures, not PNG");
}

// The kernels that a model uses are linked, and no others.
TEST_F(Runner, KernelsOfOneModel) {
  std::filesystem::create_directory(path("alone"));
  std::filesystem::copy_file(std::string(NACRE_BUILD_DIR) + "/nacre_runner",
                             path("alone/nacre_runner"));
  const auto made = [&](const std::string& to, const std::string& what, bool all) {
    const CommandResult r = nacre("convert " + what + " --to exe --output " + path(to));
    EXPECT_EQ(r.code, 0) << r.output;
    EXPECT_EQ(holds(r.output, "it has all kernels"), all) << r.output;
    return folder->read(to);
  };
  const std::string mlp = made("mlp", "mlp", false), lenet = made("lenet", "lenet5", false);
  const std::string whole = made("whole", "lenet5 --runner " + path("alone/nacre_runner"), true);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const auto runner_bytes = [](const std::string& file) {
    return file.size() - embed::appended(file).size();
  };
  EXPECT_LT(runner_bytes(mlp), runner_bytes(lenet));
  EXPECT_LT(runner_bytes(lenet), runner_bytes(whole) - 100000);
#endif
  EXPECT_TRUE(holds(run_command(path("mlp") + " --info").output, "kernels  matmul\n"));
  // The program of LeNet-5 behind the runner of the MLP.
  folder->write("mlp", embed::with_program(mlp, embed::appended(lenet)));
  expect_one_line(run_command(path("mlp") + " --info"), 1,
                  "needs the kernel conv, which is not in this program");
  folder->write("whole", embed::with_program(whole, embed::appended(mlp)));
  EXPECT_EQ(run_command(path("whole") + " --info").code, 0);
}

// Means over a picture, of networks that take more channels than a picture has, and channels last.
TEST_F(Runner, WhatIsNoUsualPicture) {
  const auto means = [&](const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<int64_t>& places) {
    WireWriter axes;
    axes.bytes(1, "axes");
    axes.integers(8, places);
    axes.integer(20, 7);
    const auto node =
        onnx::make::node("ReduceMean", {"x"}, {"y"}, {axes, onnx::make::attribute("keepdims", 0)});
    folder->write(
        name + ".onnx",
        onnx::make::model(
            {{node}, {}, {onnx::make::value("x", shape)}, {onnx::make::value("y", {})}, {}}));
    const CommandResult r =
        nacre("convert --check --to exe --output " + path(name) + " " + path(name + ".onnx"));
    EXPECT_EQ(r.code, 0) << r.output;
  };
  means("six", {1, 6, 4, 4}, {2, 3});
  std::vector<float> x(96);
  for (size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(k / 16);
  save_npy(path("six.npy"), {DType::f32, {1, 6, 4, 4}, x.data(), nullptr});
  EXPECT_TRUE(holds(run_command(path("six") + " " + path("six.npy")).output, "0, 1, 2, 3, 4, 5"));
  expect_one_line(run_command(path("six") + " " + path("d.pgm")), 1, "the network takes 6x4x4");

  means("last", {1, 8, 8, 2}, {1, 2});  // grey, and how opaque it is
  EXPECT_TRUE(holds(run_command(path("last") + " " + path("d.pgm")).output, "0.494118, 1"));
}

TEST_F(Runner, RowsOfATableAreNamed) {
  std::string rows = "a,b,c\n";
  for (int k = 0; k < 40; ++k) rows += std::to_string(k) + (k % 2 ? ",red,x\n" : ",blue,y\n");
  folder->write("t.csv", rows);
  ASSERT_EQ(nacre("train logistic_regression --data " + path("t.csv") +
                  " --epochs 1 --quiet --out " + path("table"))
                .code,
            0);
  const CommandResult made =
      nacre("convert --to exe --output " + path("t") + " " + path("table/model.safetensors"));
  EXPECT_TRUE(holds(made.output, "not cells of a table: a, b=blue, b=red; after ")) << made.output;
  EXPECT_TRUE(holds(run_command(path("t") + " --info").output, "rows     as left by "));
}

TEST_F(Runner, DamageIsSeen) {
  ASSERT_EQ(nacre("convert " + path("m.safetensors") + " --to exe --output " + path("x")).code, 0);
  std::string bytes = folder->read("x");
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] + 1);
  folder->write("x", bytes);
  expect_one_line(run_command(path("x") + " " + path("d.pgm")), 1, "its checksum does not fit");
}

TEST_F(Runner, MistakesAreNamed) {
  expect_one_line(nacre("convert " + path("m.safetensors") + " --to exe --output " + path("y") +
                        " --runner " + path("d.pgm")),
                  2, "is no nacre_runner without a model");
  expect_one_line(nacre("convert " + path("m.safetensors") + " " + path("y.npz") + " --runner x"),
                  2, "--runner goes with --to exe");
}

TEST_F(Runner, CInterface) {
  ASSERT_EQ(nacre("convert " + path("m.safetensors") + " --to program " + path("p")).code, 0);
  const std::string classify = std::string(NACRE_BUILD_DIR) + "/classify_runtime ";
  const CommandResult done = run_command(classify + path("p") + " " + path("d.pgm"));
  EXPECT_EQ(done.code, 0) << done.output;
  EXPECT_TRUE(holds(done.output, "%")) << done.output;
  EXPECT_NE(run_command(classify + path("m.safetensors") + " " + path("d.pgm")).code, 0);
}

}  // namespace
}  // namespace nacre::test
