// The numbers of a request's tensors, read without a tree: of a thousand numbers that is the better
// part of the time that a request takes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "nacre/dtype.h"

namespace nacre::serve {

/// A JSON text whose flat lists of numbers under the name "data" are set apart.
class NumberLists {
 public:
  explicit NumberLists(std::string_view json);
  /// The text with null in their place; the text itself if it has other things under that name, or
  /// escapes, so that one cannot tell by looking.
  std::string_view rest() const { return apart_ ? std::string_view(rest_) : json_; }
  /// Finds the lists in what rest() was parsed to. False if that does not fit together.
  bool match(const Json& parsed);
  bool has(const Json& data) const { return found_.contains(&data); }
  /// Appends the values of the list that stood for `data`, in the type. False if it holds what is
  /// no plain number of that type.
  bool read(const Json& data, DType type, std::string& bytes) const;

 private:
  bool set_apart();
  std::string_view json_;
  std::string rest_;
  bool apart_ = false;
  std::vector<std::string_view> lists_;  ///< without brackets
  std::map<const Json*, std::string_view> found_;
};

}  // namespace nacre::serve
