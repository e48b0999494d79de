// docs/cli.md shows what the program says.
#include <gtest/gtest.h>

#include <regex>

#include "base/file.h"
#include "cli/program.h"

namespace nacre::test {
namespace {

TEST(Help, OfEveryCommandIsInTheDocuments) {
  const std::string page = read_file(NACRE_SOURCE_DIR "/docs/cli.md", 1 << 20);
  const std::regex block("\n## (nacre[ a-z]*)\n\n```\n([^`]*(?:`[^`]+)*?)\n```\n");
  int commands = 0;
  for (std::sregex_iterator at(page.begin(), page.end(), block), end; at != end; ++at, ++commands) {
    const std::string command = (*at)[1];
    CommandResult help = nacre(command == "nacre" ? "--help" : command.substr(6) + " --help");
    while (!help.output.empty() && help.output.back() == '\n') help.output.pop_back();
    EXPECT_EQ(help.output, (*at)[2].str()) << "docs/cli.md, " << command;
  }
  EXPECT_GE(commands, 15);
  // Every command that the program lists is there.
  const std::string all = nacre("--help").output;
  for (const char* name : {"fit", "train", "eval", "predict", "explain", "serve", "run", "convert",
                           "bench", "doctor", "demo"}) {
    EXPECT_TRUE(holds(all, std::string("  ") + name)) << name;
    EXPECT_TRUE(holds(page, std::string("\n## nacre ") + name + "\n")) << name;
  }
}

}  // namespace
}  // namespace nacre::test
