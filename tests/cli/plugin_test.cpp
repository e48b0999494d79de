// The program with a plug-in: every command that makes models takes one.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/program.h"
#include "nacre/data.h"

namespace nacre {
namespace {

using test::nacre;

const char* const kBell = " --plugin " NACRE_BUILD_DIR "/plugins/bell.so ";

TEST(CliPlugin, TrainsEvaluatesPredictsAndShowsItsModel) {
  const test::TempFolder folder;
  const std::string run = folder / "run", model = run + "/model.safetensors";
  const std::string data = NACRE_SOURCE_DIR "/data/digits";
  auto r = nacre("-q train bell_net" + std::string(kBell) + "--data " + data +
                 " --epochs 3 --out " + run);
  ASSERT_EQ(r.code, 0) << r.output;
  r = nacre("eval " + model + kBell + "--data " + data);
  EXPECT_EQ(r.code, 0) << r.output;
  write_png(folder / "digit.png", open_dataset(data).train->get(0).image);
  r = nacre("predict " + model + kBell + (folder / "digit.png").string());
  EXPECT_EQ(r.code, 0) << r.output;
  r = nacre("zoo list" + std::string(kBell));
  EXPECT_NE(r.output.find("bell_net"), std::string::npos) << r.output;
  r = nacre("zoo show bell_net" + std::string(kBell));
  EXPECT_NE(r.output.find("4810"), std::string::npos) << r.output;  // 64 (64 + 1) + 10 (64 + 1)

  r = nacre("eval " + model + " --data " + data);
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.output.find("'bell_net'"), std::string::npos) << r.output;
  EXPECT_NE(r.output.find("--plugin FILE"), std::string::npos) << r.output;
  r = nacre("train --resume " + run);
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.output.find("--plugin FILE"), std::string::npos) << r.output;
}

TEST(CliPlugin, MistakesAreOneLine) {
  for (const std::string file : {"/nowhere.so", NACRE_SOURCE_DIR "/README.md"}) {
    const auto r = nacre("zoo list --plugin " + file);
    EXPECT_EQ(r.code, 1);
    EXPECT_EQ(std::count(r.output.begin(), r.output.end(), '\n'), 1) << r.output;
    EXPECT_NE(r.output.find(file), std::string::npos) << r.output;
  }
}

}  // namespace
}  // namespace nacre
