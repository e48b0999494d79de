// The test cases of ONNX itself, as Debian's libonnx-testdata has them.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "onnx/cases.h"

namespace nacre::onnx {
namespace {

constexpr const char* kData = "/usr/share/libonnx-testdata/data";

TEST(Onnx, ConformanceCases) {
  if (!std::filesystem::exists(kData)) GTEST_SKIP() << "libonnx-testdata is not installed";
  const auto exceptions = read_exceptions(NACRE_SOURCE_DIR "/tests/onnx/exceptions.txt");
  Tally all;
  std::printf("%-20s %7s %7s %8s\n", "folder", "passed", "failed", "skipped");
  for (const std::string folder : {"node", "pytorch-converted", "pytorch-operator", "simple"}) {
    const auto known = exceptions.find(folder);
    std::vector<std::string> problems;
    const Tally t = run_cases(
        std::string(kData) + "/" + folder,
        known == exceptions.end() ? std::map<std::string, std::string>() : known->second, problems);
    std::printf("%-20s %7d %7d %8d\n", folder.c_str(), t.passed, t.failed, 0);
    for (const std::string& p : problems) ADD_FAILURE() << folder << "/" << p;
    all.passed += t.passed;
    all.failed += t.failed;
  }
  std::printf("%-20s %7d %7d %8d\n", "all", all.passed, all.failed, 0);
  EXPECT_GE(all.passed, 1000);
}

// Those cases with other names, sizes and numbers, and models for what they leave out; the values
// are those of ONNX Runtime and of ONNX's reference (goldens/make.py).
TEST(Onnx, ValuesOfOthers) {
  const auto cases = read_packed_cases(NACRE_SOURCE_DIR "/tests/onnx/goldens/cases.bin");
  EXPECT_GE(cases.size(), 200u);
  for (const Case& c : cases) EXPECT_EQ(run_case(c, 1e-6), "") << c.name;
}

}  // namespace
}  // namespace nacre::onnx
