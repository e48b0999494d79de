// The checks of style and of the direction of includes find what they are made to find.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre::test {
namespace {

/// A git checkout with the checks in it.
class Checks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_command("command -v git").code != 0) GTEST_SKIP() << "git is not installed";
    folder_.write(".clang-format", "BasedOnStyle: Google\n");
    const std::string source = NACRE_SOURCE_DIR;
    const CommandResult result =
        run_command("cd " + folder_.str() + " && git init -q && mkdir tools cmake && cp " + source +
                    "/tools/check_* tools");
    ASSERT_EQ(result.code, 0) << result.output;
  }
  CommandResult check(const std::string& tool) {
    return run_command("cd " + folder_.str() + " && git add . && tools/" + tool);
  }
  void expect_fault(const CommandResult& result, const std::string& text) {
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.output.find(text), std::string::npos) << result.output;
  }
  TempFolder folder_;
};

TEST_F(Checks, AcceptsGoodIncludes) {
  folder_.write("src/nn/a.cpp",
                "#include <fmt/format.h>\n#include \"base/a.h\"\n#include \"nn/b.h\"\n"
                "#include \"nacre/x.h\"\n");
  folder_.write("src/backends/cpu/simd-inl.h", "#include <hwy/highway.h>\n");
  folder_.write("include/nacre/x.h", "#include <vector>\n#include \"nacre/y.h\"\n");
  const CommandResult result = check("check_includes");
  EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(Checks, FindsUpwardIncludes) {
  folder_.write("src/graph/a.cpp", "#include \"graph/a.h\"\n#include \"train/run.h\"\n");
  expect_fault(check("check_includes"), "src/graph/a.cpp:2: graph/ may not include train/");
}

TEST_F(Checks, FindsForeignHeaders) {
  folder_.write("include/nacre/x.h", "#include <zlib.h>\n#include \"base/a.h\"\n");
  folder_.write("src/data/x.h", "#include <nlohmann/json.hpp>\n");
  const CommandResult result = check("check_includes");
  expect_fault(result, "include/nacre/x.h:1: a public header includes <zlib.h>");
  expect_fault(result, "include/nacre/x.h:2: a public header includes \"base/a.h\"");
  expect_fault(result, "src/data/x.h:1: a header includes <nlohmann/json.hpp>");
}

TEST_F(Checks, FindsFaultsOfStyle) {
  const bool formats = run_command("command -v clang-format").code == 0;
  folder_.write("src/a.cpp", "int a;\n");
  const CommandResult good = check("check_style");
  EXPECT_EQ(good.code, formats ? 0 : 1) << good.output;
  folder_.write("src/tab.cpp", "int a;\n\tint b;\n");
  std::string lines;
  for (int i = 0; i < 901; ++i) lines += "// x\n";
  folder_.write("src/lines.cpp", lines);
  folder_.write("src/note.cpp",
                "int c;\n// TO"
                "DO: later\n");
  const CommandResult bad = check("check_style");
  expect_fault(bad, "src/tab.cpp:2: tab");
  expect_fault(bad, "src/lines.cpp:901: more than 900 lines");
  expect_fault(bad, "src/note.cpp:2:");
  if (formats) expect_fault(bad, "src/tab.cpp:1:7: error:");
}

}  // namespace
}  // namespace nacre::test
