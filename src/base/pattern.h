// Regular expressions that users give.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace nacre {

/// A regular expression of RE2's syntax: like that of Perl, without references back and looks
/// around, so that a search takes time linear in the text whatever the expression. Copies share it.
class Pattern {
 public:
  /// Throws Error(usage), with what is wrong where.
  explicit Pattern(const std::string& expression);
  /// Whether it matches anywhere in the text.
  bool found_in(std::string_view text) const;
  /// An expression that matches this text alone.
  static std::string quoted(std::string_view text);

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace nacre
