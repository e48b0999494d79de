// The program under test, for tests of the command line.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "tools/shell.h"

namespace nacre::test {

inline const std::string kProgram = std::string(NACRE_BUILD_DIR) + "/nacre";
inline const std::string kDigits = std::string(NACRE_SOURCE_DIR) + "/data/digits";

inline CommandResult nacre(const std::string& arguments) {
  return run_command(kProgram + " " + arguments);
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The command ended with this code and one line that holds `part`.
inline void expect_one_line(const CommandResult& r, int code, const std::string& part) {
  EXPECT_EQ(r.code, code) << r.output;
  EXPECT_EQ(std::count(r.output.begin(), r.output.end(), '\n'), 1) << r.output;
  EXPECT_TRUE(holds(r.output, part)) << r.output;
}

}  // namespace nacre::test
