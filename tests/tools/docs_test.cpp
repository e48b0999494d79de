// Code in the documentation is the code that is built.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace nacre {
namespace {

std::string text_of(const std::string& name) {
  std::ifstream in(std::string(NACRE_SOURCE_DIR) + "/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Documentation, AddAModelQuotesAWholeModel) {
  const std::string page = text_of("docs/add-a-model.md");
  const std::string begin = "```cpp\n", end = "```\n";
  const auto from = page.find(begin) + begin.size();
  ASSERT_LT(from, page.size());
  EXPECT_EQ(page.substr(from, page.find(end, from) - from), text_of("src/zoo/vision/lenet5.cpp"));
}

}  // namespace
}  // namespace nacre
