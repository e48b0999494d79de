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

/// What f() gives; errors that do not begin with the name of the file get it.
template <typename F>
auto with_name(std::string_view what, const F& f) {
  try {
    return f();
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(what)) throw;
    fail(e.kind(), {what, ": ", e.what()});
  }
}

}  // namespace nacre
