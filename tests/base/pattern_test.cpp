// Regular expressions of users: what they match, and that none takes long.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/pattern.h"
#include "nacre/error.h"

namespace nacre {
namespace {

TEST(Pattern, IsSearchedAnywhere) {
  const Pattern p("layer[1-3]\\.");
  EXPECT_TRUE(p.found_in("net.layer2.0.conv1.weight"));
  EXPECT_FALSE(p.found_in("layer4.0.conv1.weight"));
  EXPECT_FALSE(p.found_in("layer2"));
  EXPECT_TRUE(Pattern("^fc\\.b").found_in("fc.bias"));
  EXPECT_TRUE(Pattern("").found_in(""));
  const Pattern quoted("^" + Pattern::quoted("a.b[0]") + "$");
  EXPECT_TRUE(quoted.found_in("a.b[0]"));
  EXPECT_FALSE(quoted.found_in("a_b0"));
}

TEST(Pattern, TakesTimeLinearInTheText) {
  const std::string text(20000, 'a');
  const auto start = std::chrono::steady_clock::now();
  for (const char* slow : {"(.*)*z", "(a+)+$z", "(a|aa)*b", "(a?){50}a{50}b"})
    EXPECT_FALSE(Pattern(slow).found_in(text)) << slow;
  // Searches that try all ways would take longer than the universe is old. Measured: 0.01 s.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Pattern, SaysWhatIsWrong) {
  const auto answer = [](const std::string& expression) -> std::string {
    try {
      Pattern p(expression);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::usage);
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(answer("layer("), "'layer(' is not a regular expression: missing ): layer(");
  EXPECT_NE(answer("a[1-"), "");
  EXPECT_NE(answer("(a)\\1"), "");           // a reference back cannot be searched in linear time
  EXPECT_NE(answer("((a{999}){999})"), "");  // would take gigabytes
  EXPECT_EQ(answer(std::string(5000, '(')).find("'" + std::string(77, '(') + "...'"), 0u);
}

}  // namespace
}  // namespace nacre
