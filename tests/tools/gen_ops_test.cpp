// The tool that makes the tables, on made-up sources.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre::test {
namespace {

CommandResult generate(const TempFolder& folder) {
  return run_command(NACRE_BUILD_DIR "/tools/gen_ops " + folder.str() + " " + folder.str() +
                     "/out");
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const char kConv[] = R"(
#define MANY(name) \
  OP(name) = {}

/// Options of conv.
API(struct ConvOptions {
  Ints stride = {1};  // a ) in a comment
  PadMode mode = PadMode::zeros;
})

/// Convolution.
/// x: "NCHW".
API(Tensor conv(In x, In w, std::pair<int, int> p = {1, (2)},
                const ConvOptions& options = {}))
// API(commented out)
const char* text = "OP(\"(";
OP(conv) = {};
OP(conv_input_grad) = {};
/// Own words.
OP(conv_weight_grad) = {};
)";

TEST(GenOps, WritesHeaderTablesAndReference) {
  TempFolder folder;
  folder.write("src/ops/conv/conv.cpp", kConv);
  folder.write("src/ops/pad/pad.cpp",
               "/// How to pad.\nAPI(enum class PadMode { zeros, reflect };)\n"
               "/// Pads.\nAPI(Tensor pad(In x); Tensor pad(In x, PadMode m);)\nOP(pad) = {};\n");
  folder.write("src/backends/cpu/kernels/conv.cpp", "KERNEL(conv) {\n}\n");
  folder.write("src/zoo/vision/lenet5.cpp", "MODEL(lenet5, .paper = \"x\")\n");
  folder.write("src/onnx/ops/math.cpp", "ONNX(Add) = {\"Add\", add};\n");
  const CommandResult result = generate(folder);
  ASSERT_EQ(result.code, 0) << result.output;

  const std::string header = folder.read("out/include/nacre/ops.h");
  EXPECT_TRUE(contains(header,
                       "/// Convolution.\n/// x: \"NCHW\".\n"
                       "Tensor conv(In x, In w, std::pair<int, int> p = {1, (2)},\n"
                       "            const ConvOptions& options = {});\n"))
      << header;
  // A type comes before what uses it, even where its family comes later.
  EXPECT_LT(header.find("enum class PadMode"), header.find("struct ConvOptions"));
  EXPECT_LT(header.find("struct ConvOptions"), header.find("Tensor conv("));
  EXPECT_TRUE(contains(header, "PadMode mode = PadMode::zeros;\n};\n"));
  EXPECT_FALSE(contains(header, "commented"));

  const std::string table = folder.read("out/op_table.cpp");
  EXPECT_TRUE(contains(table, "extern const OpDef op_conv_input_grad;"));
  EXPECT_TRUE(contains(table, "{&op_conv, \"conv\", \"src/ops/conv/conv.cpp\""));
  EXPECT_TRUE(contains(table, "\"Convolution.\\nx: \\\"NCHW\\\".\""));
  EXPECT_TRUE(contains(table, "\"Own words.\""));
  EXPECT_TRUE(contains(table, "\"Tensor pad(In x); Tensor pad(In x, PadMode m);\""));
  EXPECT_FALSE(contains(table, "op_name"));

  EXPECT_TRUE(contains(folder.read("out/cpu_kernels.cpp"), "{\"conv\", prepare_conv},"));
  EXPECT_TRUE(contains(folder.read("out/zoo_table.cpp"), "extern const ModelEntry model_lenet5;"));
  EXPECT_TRUE(contains(folder.read("out/zoo_table.cpp"), "&model_lenet5,"));
  EXPECT_TRUE(contains(folder.read("out/onnx_table.cpp"), "&onnx_Add,"));
  EXPECT_TRUE(contains(folder.read("out/ops.md"), "## pad\n\n### pad\n"));
}

TEST(GenOps, DoesNotTouchUnchangedFiles) {
  TempFolder folder;
  folder.write("src/ops/conv/conv.cpp", kConv);
  ASSERT_EQ(generate(folder).code, 0);
  const auto header = folder / "out/include/nacre/ops.h";
  const auto table = folder / "out/cpu_kernels.cpp";
  const auto old = std::filesystem::last_write_time(header) - std::chrono::hours(1);
  std::filesystem::last_write_time(header, old);
  std::filesystem::last_write_time(table, old);
  folder.write("src/ops/conv/more.cpp", "/// More.\nAPI(Tensor more(In x))\nOP(more) = {};\n");
  ASSERT_EQ(generate(folder).code, 0);
  EXPECT_NE(std::filesystem::last_write_time(header), old);
  EXPECT_EQ(std::filesystem::last_write_time(table), old);
}

TEST(GenOps, ReportsMistakesWithTheirPlaces) {
  TempFolder folder;
  folder.write("src/ops/a/bad.cpp", "API(Tensor a())\nOP(a) = {};\n\nOP(c) = {};\nAPI(x(\n");
  folder.write("src/ops/b/twice.cpp", "/// Text.\nOP(c) = {};\n");
  const CommandResult result = generate(folder);
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(contains(result.output, "src/ops/a/bad.cpp:1: error: API(...) has no documentation"));
  EXPECT_TRUE(contains(result.output, "src/ops/a/bad.cpp:2: error: op 'a' has no documentation"));
  EXPECT_TRUE(contains(result.output, "src/ops/a/bad.cpp:5: error: API( is never closed"));
  EXPECT_TRUE(contains(result.output,
                       "src/ops/b/twice.cpp:2: error: op 'c' is also defined at "
                       "src/ops/a/bad.cpp:4"))
      << result.output;
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace nacre::test
