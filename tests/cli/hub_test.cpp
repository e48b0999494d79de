// A folder of models: listed with what they were trained on, whole or damaged, and as good as their
// cards say.
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"

namespace nacre::test {
namespace {

TEST(ZooList, OfAFolderHasTheCardOfEachModel) {
  const TempFolder folder;
  const std::string a = folder / "a", b = folder / "deeper" / "b";
  make_folders(folder / "deeper");
  const auto train = [](const std::string& more) {
    const CommandResult r = nacre("-q train logistic_regression --data " + kDigits + more);
    EXPECT_EQ(r.code, 0) << r.output;
  };
  train(" --epochs 2 --seed 3 --out " + a);
  train(" --epochs 1 --val-share 0 --from " + a + "/model.safetensors --out " + b);
  std::filesystem::create_symlink("loop", folder / "loop");
  const CommandResult listed = nacre("zoo list --json " + folder.str());
  EXPECT_EQ(listed.code, 0) << listed.output;
  const Json list = parse_json(listed.output, "list");
  ASSERT_EQ(list.size(), 2u);  // and no checkpoint
  const Json& first = list.list()[0];
  EXPECT_EQ(first.at("file").text(), a + "/model.safetensors");
  EXPECT_EQ(first.at("model").text(), "logistic_regression");
  EXPECT_EQ(first.at("parameters").integer(), 650);
  EXPECT_EQ(first.at("data").text(), "digits");
  EXPECT_EQ(first.at("seed").text(), "3");
  EXPECT_EQ(first.at("part").text(), "test");
  for (const Json& card : list.list()) {
    const Json again = parse_json(
        nacre("-q eval " + card.at("file").text() + " --data " + kDigits + " --json").output,
        "eval");
    EXPECT_NEAR(again.at("accuracy").number(), std::stod(card.at("score").text()), 1e-3);
    const CommandResult shown = nacre("zoo show " + card.at("file").text());
    EXPECT_TRUE(holds(shown.output, card.at("score").text() + " on the part 'test'"))
        << shown.output;
  }
  EXPECT_TRUE(holds(nacre("zoo list " + folder.str()).output, first.at("crc32c").text()));

  std::string bytes = read_file(a + "/model.safetensors", 1 << 20);
  bytes[bytes.size() - 5] ^= 1;
  write_file_atomic(a + "/model.safetensors", bytes);
  const CommandResult damaged = nacre("zoo list " + folder.str());
  EXPECT_EQ(damaged.code, 1);
  EXPECT_TRUE(holds(damaged.output, "nacre: " + a + "/model.safetensors")) << damaged.output;
  EXPECT_TRUE(holds(damaged.output, b + "/model.safetensors")) << damaged.output;
  expect_one_line(nacre("zoo list " + a + "/model.safetensors"), 2, "is no folder");
}

}  // namespace
}  // namespace nacre::test
