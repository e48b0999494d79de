// Code in the documentation is the code that is built.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

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

/// "Suite.Name" of all tests in the tree.
std::set<std::string> tests_of_the_tree() {
  const std::regex one(R"(TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
  std::set<std::string> names;
  for (const auto& file : std::filesystem::recursive_directory_iterator(
           std::filesystem::path(NACRE_SOURCE_DIR) / "tests")) {
    if (!file.path().string().ends_with("_test.cpp")) continue;
    std::ifstream in(file.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::sregex_iterator at(text.begin(), text.end(), one), end; at != end; ++at)
      names.insert((*at)[1].str() + "." + (*at)[2].str());
  }
  return names;
}

// Each capability has tests, which exist, or says that it is not built.
TEST(Documentation, WhatPaddlePaddleIsUsedForNamesTests) {
  const std::set<std::string> known = tests_of_the_tree();
  ASSERT_GT(known.size(), 500u);
  std::istringstream page(text_of("docs/formats.md"));
  std::string line;
  while (std::getline(page, line) && line != "| Capability | Here | Tests |") {
  }
  const std::regex name(R"(`(\w+\.\w+)`)");
  std::vector<std::string> without;
  size_t rows = 0;
  for (std::getline(page, line); std::getline(page, line) && line.starts_with("| "); ++rows) {
    const std::string tests = line.substr(line.rfind('|', line.size() - 2));
    const std::sregex_iterator begin(tests.begin(), tests.end(), name), end;
    for (auto at = begin; at != end; ++at)
      EXPECT_TRUE(known.contains((*at)[1].str())) << (*at)[1].str() << " in: " << line;
    if (begin == end) without.push_back(line);
  }
  EXPECT_EQ(rows, 7u);
  ASSERT_EQ(without.size(), 1u);
  EXPECT_TRUE(without[0].starts_with("| distributed training | not built")) << without[0];
}

}  // namespace
}  // namespace nacre
