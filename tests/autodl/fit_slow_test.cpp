// Defects of a surface, from a folder of few pictures to an answer over HTTP.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre {
namespace {

using test::run_command;
using test::TempFolder;

/// The script prints "held-out accuracy 97.00 %" and "linear accuracy 50.00 %". How good the model
/// gets within a time depends on the machine and on who else uses it: in five minutes of two cores
/// it was 98 % (docs/fit.md), while other work ran 93 %. The test asks for what little time gives.
TEST(DefectInspection, IsDoneFromFolderToCurl) {
  TempFolder folder;
  const auto r =
      run_command("cd " + std::string(NACRE_SOURCE_DIR) + " && BUILD=" + NACRE_BUILD_DIR +
                  " examples/defect_inspection/run " + folder.str() + " 2m");
  ASSERT_EQ(r.code, 0) << r.output;
  const auto number = [&](const std::string& name) {
    const auto at = r.output.find(name + " accuracy ");
    return at == std::string::npos ? -1.0 : std::stod(r.output.substr(at + name.size() + 10));
  };
  std::printf("%s", r.output.substr(r.output.size() > 600 ? r.output.size() - 600 : 0).c_str());
  EXPECT_GE(number("held-out"), 75);
  EXPECT_LT(number("linear"), 75);
  EXPECT_GE(number("linear"), 0);
}

}  // namespace
}  // namespace nacre
