#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"

namespace nacre::test {
namespace {

TEST(CommandBench, SavesResultsAndComplainsOfSlowerOnes) {
  const TempFolder folder;
  const std::string save = (folder / "now.json"), page = (folder / "page.html");
  const CommandResult r =
      nacre("bench lenet5 --seconds 0 --batch 2 --save " + save + " --html " + page);
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "lenet5")) << r.output;
  EXPECT_TRUE(holds(read_file(page, 1 << 24), "Roofline"));
  Json results = parse_json(read_file(save, 1 << 20), save);
  ASSERT_EQ(results.list().size(), 1u);
  EXPECT_EQ(results.list()[0].at("macs").integer(), 2 * 416520);

  const std::string same = "bench lenet5 --seconds 0 --batch 2 --json --against " + save;
  const auto pretend = [&](double milliseconds) {
    results.list()[0]["p50_ms"] = milliseconds;
    write_file_atomic(save, print_json(results));
  };
  pretend(1e6);
  EXPECT_EQ(nacre(same).code, 0);
  pretend(1e-6);
  const CommandResult slow = nacre(same);
  EXPECT_EQ(slow.code, 1);
  EXPECT_TRUE(holds(slow.output, "lenet5 (infer, batch 2) takes ")) << slow.output;

  const CommandResult other = nacre("bench lenet5 --seconds 0 --batch 3 --json --against " + save);
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(holds(other.output, "holds none of the models")) << other.output;
}

TEST(CommandBench, RefusesWhatIsNoModel) {
  const CommandResult r = nacre("bench lenet6");
  EXPECT_NE(r.code, 0);
  EXPECT_TRUE(holds(r.output, "lenet5")) << r.output;
}

}  // namespace
}  // namespace nacre::test
