// ONNX files on the command line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "cli/program.h"
#include "nacre/formats.h"
#include "nacre/image.h"
#include "nacre/ops.h"
#include "onnx/make_model.h"

namespace nacre {
namespace {

using test::expect_one_line;
using test::holds;
using test::nacre;
using test::TempFolder;

class OnnxCli : public ::testing::Test {
 protected:
  std::string path(const std::string& name) { return folder_ + "/" + name; }
  std::string write(const std::string& name, const onnx::make::Parts& parts) {
    std::ofstream(path(name), std::ios::binary) << onnx::make::model(parts);
    return path(name);
  }
  TempFolder temp_;
  std::string folder_ = temp_.str();
};

TEST_F(OnnxCli, RunWritesEveryOutput) {
  onnx::make::Parts p = onnx::make::linear();
  p.nodes.push_back(onnx::make::node("Relu", {"y"}, {"z"}));
  p.outputs.push_back(onnx::make::value("z", {-1, 2}));
  const std::string model = write("m.onnx", p);
  const Tensor x = Tensor::from({1.f, 0.f, 0.f, -9.f, 0.f, -9.f}, {2, 3});
  save_npy(path("x.npy"), raw_tensor(x));
  const auto r = nacre("run " + model + " --input x=" + path("x.npy") + " --output " + path("out"));
  ASSERT_EQ(r.code, 0) << r.output;
  const auto values = [&](const std::string& name) {
    return copied_tensor(load_npy(path("out/" + name))).to_vector<float>();
  };
  EXPECT_EQ(values("y.npy"), (std::vector<float>{11, 22, -44, -52}));
  EXPECT_EQ(values("z.npy"), (std::vector<float>{11, 22, 0, 0}));
  expect_one_line(nacre("run " + model + " --output " + path("out")), 2, "input 'x'");
  save_npy(path("w.npy"), raw_tensor(Tensor::from({1.f, 2.f}, {1, 2})));
  expect_one_line(
      nacre("run " + model + " --input x=" + path("w.npy") + " --output " + path("out")), 2,
      "input 'x' is float ?x3, what is given is float 1x2");
  expect_one_line(nacre("run " + model + " --input x --output " + path("out")), 2, "NAME=FILE.npy");
}

TEST_F(OnnxCli, ShowListsLayers) {
  const std::string model = write("m.onnx", onnx::make::linear());
  const auto r = nacre("zoo show " + model + " --json");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  EXPECT_EQ(j.at("parameters").integer(), 8);
  EXPECT_EQ(j.at("macs").integer(), 6);
  const Json layer = j.at("layers").list()[0];
  EXPECT_EQ(layer.at("layer").text(), "fc");
  EXPECT_EQ(layer.at("output").text(), "1x2");
  // 3 + 6 + 2 numbers at least are read, and 2 written.
  EXPECT_GE(layer.at("traffic_bytes").number(), 52);
  EXPECT_GT(layer.at("milliseconds").number(), 0);
  EXPECT_GT(j.at("milliseconds").number(), 0);
  EXPECT_GE(j.at("peak_bytes").integer(), 8);
  if (!j.at("joules_measured").boolean()) {
    EXPECT_NEAR(j.at("joules").number(), 6 * 4.6e-12 + j.at("traffic_bytes").number() * 160e-12,
                1e-15);
  }
  EXPECT_TRUE(holds(nacre("zoo show " + model).output, "float ?x3"));
}

TEST_F(OnnxCli, SizesThatAreComputedAreKnownInATrace) {
  onnx::make::Parts p = onnx::make::linear();
  p.nodes.push_back(onnx::make::node("Expand", {"one", "four"}, {"pads"}));
  p.nodes.push_back(onnx::make::node("Pad", {"y", "pads"}, {"z"}));
  p.initializers.push_back(onnx::make::integers("one", {1}));
  p.initializers.push_back(onnx::make::integers("four", {4}));
  p.outputs = {onnx::make::value("z", {-1, 4})};
  const auto r = nacre("bench --seconds 0 " + write("m.onnx", p));
  EXPECT_EQ(r.code, 0) << r.output;
}

TEST_F(OnnxCli, LimitsFailABuild) {
  const std::string model = write("m.onnx", onnx::make::linear());
  const auto show = [&](const std::string& limits) {
    std::ofstream(path("limits.yaml")) << limits;
    return nacre("zoo show " + model + " --limits " + path("limits.yaml"));
  };
  const auto good = show("parameters: 8\nmacs: 6\nmilliseconds: 1e6\njoules: 1\n");
  EXPECT_EQ(good.code, 0) << good.output;
  const auto above = show("parameters: 7\nmacs: 6\nbytes: 10\n");
  EXPECT_EQ(above.code, 1);
  EXPECT_TRUE(holds(above.output, "m.onnx is above 2 limits of")) << above.output;
  EXPECT_TRUE(holds(above.output, "parameters 8 (at most 7), bytes ")) << above.output;
  const auto unknown = show("weight: 7\n");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(holds(unknown.output, "limits 'weight'; what is known of")) << unknown.output;
}

TEST_F(OnnxCli, OpenSizesMayBeGiven) {
  const std::string file = NACRE_SOURCE_DIR "/tests/importers/goldens/pictures-symbol.json";
  const auto open = nacre("zoo show " + file);
  EXPECT_EQ(open.code, 1);
  EXPECT_TRUE(holds(open.output, "leaves open are 1 here, or what --shape says")) << open.output;
  const auto small = nacre("zoo show --json " + file + " --shape data=1x3x32x32");
  const auto large = nacre("zoo show --json " + file + " --shape 2x3x32x32");
  ASSERT_EQ(small.code + large.code, 0) << small.output << large.output;
  EXPECT_EQ(2 * parse_json(small.output, "show").at("macs").number(),
            parse_json(large.output, "show").at("macs").number());
  EXPECT_EQ(nacre("bench --seconds 0 " + file + " --shape 1x3x32x32").code, 0);
  for (const auto& [text, sentence] : {std::pair{"dota=1x3x2x2", "no input 'dota'; it has data"},
                                       {"data=1x3xAx2", "a shape is as in data=1x3x224x224"},
                                       {"1x3x0x2", "a shape is as in data=1x3x224x224"},
                                       {"1x4x8x8", "input 'data' is float ?x3x?x?, not 1x4x8x8"}}) {
    const auto refused = nacre("zoo show " + file + " --shape " + text);
    EXPECT_EQ(refused.code, 2);
    EXPECT_TRUE(holds(refused.output, sentence)) << refused.output;
  }
}

TEST_F(OnnxCli, SizeIsThatOfAllFiles) {
  const std::string goldens = std::string(NACRE_SOURCE_DIR) + "/tests/importers/goldens/";
  onnx::make::Parts p = onnx::make::linear();
  p.initializers[0] = onnx::make::external("w", {3, 2}, "./w.bin");
  const std::string model = write("m.onnx", p);
  std::ofstream(path("w.bin"), std::ios::binary) << std::string(24, '\0');
  std::ofstream(path("unrelated"), std::ios::binary) << "not counted";
  const auto size = [](const std::string& file) { return std::filesystem::file_size(file); };
  for (const auto& [file, bytes] :
       {std::pair(model, size(model) + 24),
        std::pair(goldens + "tiny.prototxt",
                  size(goldens + "tiny.prototxt") + size(goldens + "tiny.caffemodel"))}) {
    const auto shown = nacre("zoo show " + file);
    EXPECT_EQ(shown.code, 0) << shown.output;
    EXPECT_TRUE(holds(shown.output, cat({"\nsize        ", bytes, " bytes\n"}))) << shown.output;
    std::ofstream(path("limits.yaml")) << "bytes: " << bytes;
    EXPECT_EQ(nacre("zoo show " + file + " --limits " + path("limits.yaml")).code, 0);
    std::ofstream(path("limits.yaml")) << "bytes: " << bytes - 1;
    const auto above = nacre("zoo show " + file + " --json --limits " + path("limits.yaml"));
    EXPECT_EQ(above.code, 1);
    EXPECT_TRUE(holds(above.output, cat({"\"bytes\": ", bytes}))) << above.output;
  }
}

TEST_F(OnnxCli, ConvertTakesTheWeightsOut) {
  const std::string model = write("m.onnx", onnx::make::linear());
  const auto r = nacre("convert " + model + " " + path("m.safetensors"));
  ASSERT_EQ(r.code, 0) << r.output;
  const SafeTensors file = SafeTensors::open(path("m.safetensors"));
  EXPECT_EQ(copied_tensor(file.at("b")).to_vector<float>(), (std::vector<float>{10, 20}));
  EXPECT_EQ(file.at("w").shape, Shape({3, 2}));
}

TEST_F(OnnxCli, ConvertWritesModels) {
  const auto r = nacre("convert lenet5 " + path("m.onnx") + " --opset 13");
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(
      holds(nacre("zoo show " + path("m.onnx")).output, "ONNX, opset 13, written by nacre"));
  expect_one_line(nacre("convert " + path("m.onnx") + " " + path("n.onnx")), 2, "already");
  expect_one_line(nacre("convert lenet99 " + path("n.onnx")), 2, "lenet99");
}

TEST_F(OnnxCli, PredictFitsPicturesToTheInput) {
  onnx::make::Parts p = {
      {onnx::make::node("GlobalAveragePool", {"x"}, {"m"}),
       onnx::make::node("Flatten", {"m"}, {"f"}), onnx::make::node("Gemm", {"f", "w"}, {"y"})},
      {onnx::make::tensor("w", {3, 2}, {-9, 9, -9, 9, -9, 9})},
      {onnx::make::value("x", {1, 3, 8, 8})},
      {onnx::make::value("y", {1, 2})},
      {}};
  const std::string model = write("m.onnx", p);
  write_png(path("white.png"), Image(20, 30, 1, 1.0f));
  const auto r = nacre("predict " + model + " " + path("white.png") + " --json");
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_EQ(parse_json(r.output, "output").at("label").text(), "1");
}

TEST_F(OnnxCli, OperatorsThatAreMissingAreListed) {
  onnx::make::Parts p = onnx::make::linear();
  p.nodes.push_back(onnx::make::node("Twist", {"y"}, {"z"}, {}, "n1"));
  p.nodes.push_back(onnx::make::node("Turn", {"y"}, {"z2"}, {}, "n2"));
  const std::string model = write("m.onnx", p);
  expect_one_line(nacre("run " + model + " --output " + path("out")), 1,
                  "Turn (1 time: node 'n2' (Turn)); Twist (1 time: node 'n1' (Twist))");
}

}  // namespace
}  // namespace nacre
