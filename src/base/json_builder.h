// Builds a Json from parser events, with limits. Shared by the JSON and the YAML reader.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace nacre {

class JsonBuilder {
 public:
  /// Why an event was refused; the reader adds the place.
  struct Problem {
    std::string text;
  };

  explicit JsonBuilder(const JsonLimits& limits, const JsonFieldSink* fields = nullptr)
      : limits_(limits), fields_(fields) {}
  void open(Json container);
  /// Closes the innermost container and returns it, where it now lives.
  const Json& close();
  void key(std::string name);
  const Json& value(Json v);
  /// A copy of a value that was built before; it counts with all that it holds.
  const Json& copy(const Json& v);
  /// Counts a value that somebody keeps a copy of.
  void charge(const Json& v) { add(count(v)); }
  Json take() { return std::move(root_); }

 private:
  /// A container under construction, and the name that it will have in its parent.
  struct Level {
    Json json;
    std::string key;
  };
  const Json& attach(Json v);
  int64_t count(const Json& v) const;
  void add(int64_t n);

  JsonLimits limits_;
  const JsonFieldSink* fields_;  ///< takes the outermost object's fields, if not null
  int64_t values_ = 0;
  std::vector<Level> levels_;
  Json root_;
};

}  // namespace nacre
