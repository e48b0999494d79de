// The text form of protocol buffers, as Caffe's network and solver files use it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nacre {

/// A message: fields in their order, which may repeat. Numbers, names and texts are kept as text.
/// Readers of a wrong value throw Error(data).
class Prototxt {
 public:
  /// Throws Error(data), naming `what` and the line; messages may be 32 deep.
  static Prototxt parse(std::string_view text, std::string_view what);

  bool has(std::string_view name) const;
  /// All messages, or all values, with that name.
  std::vector<const Prototxt*> messages(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  std::vector<int64_t> integers(std::string_view name) const;
  /// The message with that name; an empty one if it is missing.
  const Prototxt& message(std::string_view name) const;
  // The last value with that name, or `otherwise`.
  std::string text(std::string_view name, std::string_view otherwise = "") const;
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  bool boolean(std::string_view name, bool otherwise) const;

 private:
  friend class PrototxtReader;
  struct Field {
    std::string name, text;
    std::vector<Prototxt> message;  ///< one, or none if the field is a value
  };
  const Field* find(std::string_view name) const;
  std::vector<Field> fields_;
};

}  // namespace nacre
