// The test cases of ONNX itself, as Debian's libonnx-testdata has them.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "onnx/cases.h"

namespace nacre::onnx {
namespace {

constexpr const char* kData = "/usr/share/libonnx-testdata/data";

using Exceptions = std::map<std::string, std::string>;

Exceptions exceptions_of(const std::string& folder) {
  return read_exceptions(NACRE_SOURCE_DIR "/tests/onnx/exceptions.txt")[folder];
}

void report(const std::string& folder, const Tally& t, const std::vector<std::string>& problems) {
  std::printf("%-20s %7d %7d %8d\n", folder.c_str(), t.passed, t.failed, t.skipped);
  for (const std::string& p : problems) ADD_FAILURE() << folder << "/" << p;
}

TEST(Onnx, ConformanceCases) {
  if (!std::filesystem::exists(kData)) GTEST_SKIP() << "libonnx-testdata is not installed";
  Tally all;
  std::printf("%-20s %7s %7s %8s\n", "folder", "passed", "failed", "skipped");
  for (const std::string folder : {"node", "pytorch-converted", "pytorch-operator", "simple"}) {
    std::vector<std::string> problems;
    const Tally t = run_cases(std::string(kData) + "/" + folder, exceptions_of(folder), problems);
    report(folder, t, problems);
    all.passed += t.passed;
    all.failed += t.failed;
    all.skipped += t.skipped;
  }
  report("all", all, {});
  EXPECT_GE(all.passed, 1000);
}

// The cases of newer versions of ONNX (goldens/newer.py), and of com.microsoft.
TEST(Onnx, NewerConformanceCases) {
  const auto cases = read_packed_cases(NACRE_SOURCE_DIR "/tests/onnx/goldens/newer.bin");
  std::vector<std::string> problems;
  const Tally t = run_cases(cases, exceptions_of("newer"), problems);
  report("newer", t, problems);
  EXPECT_GE(t.passed, 500);
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
