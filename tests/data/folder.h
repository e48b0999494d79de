// A folder that exists for one test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "nacre/error.h"
#include "nacre/image.h"

namespace nacre::testing {

class Folder {
 public:
  Folder() {
    static int serial = 0;
    path_ = ::testing::TempDir() + "nacre_data_" + std::to_string(::getpid()) + "_" +
            std::to_string(serial++);
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string write(const std::string& name, std::string_view bytes) const {
    const auto file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    write_file_atomic(file.string(), bytes);
    return file.string();
  }
  /// A picture of 4x3 pixels of one value.
  std::string picture(const std::string& name, float value) const {
    const auto png = encode_png(Image(4, 3, 3, value));
    return write(name, {reinterpret_cast<const char*>(png.data()), png.size()});
  }

 private:
  std::string path_;
};

/// The message of the Error that f throws.
template <typename F>
std::string error_of(F f, Error::Kind kind = Error::Kind::data) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error";
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace nacre::testing
