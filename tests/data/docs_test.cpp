// The page on data lists every step of a transform as the library does.
#include <gtest/gtest.h>

#include "base/file.h"
#include "nacre/transforms.h"

namespace nacre {
namespace {

TEST(Documentation, TheDataPageListsEveryStep) {
  const std::string page = read_file(NACRE_SOURCE_DIR "/docs/data.md", 1 << 20);
  size_t lines = 0;
  for (const StepHelp& step : transform_steps()) {
    const std::string line = "| `" + step.usage + "` | " + step.text + " |\n";
    EXPECT_NE(page.find(line), std::string::npos) << line;
    ++lines;
  }
  EXPECT_GT(lines, 30u);
}

}  // namespace
}  // namespace nacre
