// nacre convert --int8 and nacre bench --precision int8.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "cli/program.h"

namespace nacre::test {
namespace {

double accuracy(const std::string& model) {
  const CommandResult r = nacre("-q eval --json " + model + " --data " + kDigits);
  EXPECT_EQ(r.code, 0) << r.output;
  return r.code == 0 ? parse_json(r.output, "output").at("accuracy").number() : -1;
}

TEST(CommandInt8, AConvertedNetworkIsSmallerAndAsGood) {
  const TempFolder folder;
  const std::string model = (folder / "run/model.safetensors").string(),
                    small = (folder / "int8.onnx").string();
  const CommandResult t =
      nacre("-q train lenet5 --data " + kDigits + " --epochs 6 --out " + (folder / "run").string());
  ASSERT_EQ(t.code, 0) << t.output;
  const double whole = accuracy(model);
  EXPECT_GT(whole, 0.9);
  for (const char* range : {"minmax", "percentile", "error"}) {
    SCOPED_TRACE(range);
    const CommandResult c =
        nacre("convert " + model + " " + small + " --int8 --samples 200 --data " + kDigits +
              " --range " + range + " --check");
    EXPECT_EQ(c.code, 0) << c.output;
    EXPECT_TRUE(holds(c.output, "integers of 8 bits")) << c.output;
    EXPECT_NEAR(accuracy(small), whole, 0.005);
    EXPECT_LT(static_cast<double>(std::filesystem::file_size(small)),
              0.4 * static_cast<double>(std::filesystem::file_size(model)));
  }
}

TEST(CommandInt8, BenchMeasuresIt) {
  const TempFolder folder;
  const std::string bench = "bench lenet5 --precision int8 --seconds 0 ";
  const CommandResult r = nacre(bench + "--json --values " + folder.str());
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output").list()[0];
  EXPECT_EQ(j.at("precision").text(), "int8");
  EXPECT_EQ(j.at("macs").integer(), 416520);
  EXPECT_TRUE(std::filesystem::exists(folder / "model.onnx"));
  expect_one_line(nacre(bench + "--train"), 2, "int8 is for inference");
}

TEST(CommandInt8, Mistakes) {
  const TempFolder folder;
  const std::string out = (folder / "m.onnx").string(), data = " --data " + kDigits;
  expect_one_line(nacre("convert lenet5 --int8 " + out), 2, "--data, which is not given");
  expect_one_line(nacre("convert lenet5" + data + " " + out), 2, "--data goes with --int8");
  expect_one_line(nacre("convert lenet5 --int8" + data + " " + (folder / "m.npz").string()), 2,
                  "--int8 writes ONNX files");
  expect_one_line(nacre("convert lenet5 --int8 --model lenet5" + data + " " + out), 2,
                  "--model does not go with --int8");
}

}  // namespace
}  // namespace nacre::test
