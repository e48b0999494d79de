// What has no translation, collected so that all of it is told at once.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/error.h"

namespace nacre {

class Problems {
 public:
  explicit Problems(std::string_view what) : what_(what) {}
  /// A layer of this type, or this use of one.
  void add(const std::string& type, const std::string& layer) { found_[type].push_back(layer); }
  /// Throws Error(unsupported) with every type, how often it occurs and where first.
  void finish(std::string_view things) const;

 private:
  std::string what_;
  std::map<std::string, std::vector<std::string>> found_;
};

/// What f() gives; errors that begin neither with the name of the network's file nor with that of
/// its weights get the first.
template <typename F>
auto with_name(std::string_view what, std::string_view stored, const F& f) {
  try {
    return f();
  } catch (const Error& e) {
    const std::string_view text = e.what();
    if (text.starts_with(what) || text.starts_with(stored)) throw;
    fail(e.kind(), {what, ": ", e.what()});
  }
}

}  // namespace nacre
