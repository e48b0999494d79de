// The installed library, moved to another place, is found and used by a project outside of the
// tree.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre::test {
namespace {

class Consumer : public ::testing::Test {
 protected:
  void SetUp() override {
    const CommandResult result =
        run_command("cmake --install " NACRE_BUILD_DIR " --prefix " + folder_.str() +
                    "/first && mv " + folder_.str() + "/first " + folder_.str() + "/moved");
    ASSERT_EQ(result.code, 0) << result.output;
  }
  void expect_works(const std::string& program) {
    const CommandResult result = run_command(program);
    EXPECT_EQ(result.code, 0) << result.output;
    EXPECT_NE(result.output.find("consumer: "), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("2x3"), std::string::npos) << result.output;
  }
  TempFolder folder_;
  const std::string project_ = NACRE_SOURCE_DIR "/tests/consumer/project";
};

TEST_F(Consumer, BuildsWithCMake) {
  const std::string build = folder_.str() + "/build";
  const CommandResult result = run_command(
      "cmake -G Ninja -S " + project_ + " -B " + build +
      " -DBELL=" NACRE_SOURCE_DIR "/examples/plugin/bell.cpp -DCMAKE_PREFIX_PATH=" + folder_.str() +
      "/moved && cmake --build " + build);
  ASSERT_EQ(result.code, 0) << result.output;
  expect_works(build + "/consumer");
  const CommandResult host = run_command(build + "/host " + build + "/bell.so");
  EXPECT_EQ(host.output, "host: 2x10\n");
}

TEST_F(Consumer, BuildsWithPkgConfig) {
  const std::string program = folder_.str() + "/consumer";
  const CommandResult result =
      run_command("export PKG_CONFIG_PATH=$(dirname $(find " + folder_.str() +
                  "/moved -name nacre.pc))\n" + "c++ $(pkg-config --cflags nacre) " + project_ +
                  "/main.cpp $(pkg-config --libs nacre) -o " + program);
  ASSERT_EQ(result.code, 0) << result.output;
  expect_works(program);
}

// The C interface serves a program in C.
TEST_F(Consumer, BuildsInC) {
  const std::string program = folder_.str() + "/classify";
  const CommandResult result = run_command(
      "export PKG_CONFIG_PATH=$(dirname $(find " + folder_.str() +
      "/moved -name nacre.pc))\ncc -std=c99 -pedantic -Wall -Wextra -Werror $(pkg-config "
      "--cflags-only-I nacre) -c " NACRE_SOURCE_DIR "/examples/classify.c -o " +
      program + ".o && c++ " + program + ".o $(pkg-config --libs nacre) -o " + program);
  ASSERT_EQ(result.code, 0) << result.output;
  const CommandResult missing = run_command(program + " /nonexistent.onnx x.png");
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.output.find("/nonexistent.onnx"), std::string::npos) << missing.output;
}

// Nothing in the installed text files names the folders that it was built in.
TEST_F(Consumer, InstalledFilesNameNoBuildFolder) {
  const CommandResult result = run_command("grep -rIlF -e " NACRE_SOURCE_DIR " -e " +
                                           folder_.str() + "/first " + folder_.str() + "/moved");
  EXPECT_EQ(result.code, 1) << result.output;
}

// Every public header compiles alone.
TEST_F(Consumer, HeadersStandAlone) {
  const CommandResult result =
      run_command("cd " + folder_.str() +
                  "/moved/include && for h in $(find nacre -name '*.h'); do "
                  "echo \"#include \\\"$h\\\"\" | "
                  "c++ -std=c++20 -fsyntax-only -I. -x c++ - || exit 1; done");
  EXPECT_EQ(result.code, 0) << result.output;
}

}  // namespace
}  // namespace nacre::test
