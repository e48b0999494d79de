// A folder for the files of one test, and the goldens that other programs made.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"
#include "nacre/error.h"

namespace nacre {

class TempFolder : public ::testing::Test {
 protected:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nacre-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() override { std::filesystem::remove_all(folder_); }
  std::string at(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

inline std::string golden(const std::string& name) {
  return std::string(NACRE_SOURCE_DIR) + "/tests/formats/goldens/" + name;
}

inline std::string golden_bytes(const std::string& name) {
  return read_file(golden(name), 1 << 24);
}

/// The message of the Error of that kind that `body` must throw.
inline std::string error_of(Error::Kind kind, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(kind)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace nacre
