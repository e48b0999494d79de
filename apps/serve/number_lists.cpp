#include "serve/number_lists.h"

#include <charconv>

namespace nacre::serve {
namespace {

constexpr size_t kWorth = 400;  // bytes; below, a tree costs little

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void skip(std::string_view text, size_t& at) {
  while (at < text.size() && is_space(text[at])) ++at;
}

/// The values of "data", in the order of the text.
void collect(const Json& j, std::vector<const Json*>& values) {
  if (j.is_list())
    for (const Json& item : j.list()) collect(item, values);
  if (!j.is_object()) return;
  for (const auto& [name, value] : j.fields()) {
    if (name == "data") values.push_back(&value);
    collect(value, values);
  }
}

/// JSON's numbers, which are fewer than those that from_chars() takes.
bool is_plain(std::string_view number) {
  if (number.starts_with('-')) number.remove_prefix(1);
  if (number.empty() || !is_digit(number[0]) || !is_digit(number.back())) return false;
  if (number[0] == '0' && number.size() > 1 && is_digit(number[1])) return false;
  const size_t dot = number.find('.');
  return dot == number.npos || is_digit(number[dot + 1]);
}

template <typename T>
bool read_as(std::string_view list, std::string& bytes) {
  const char *at = list.data(), *const end = at + list.size();
  const auto spaces = [&] {
    while (at < end && is_space(*at)) ++at;
  };
  spaces();
  while (at < end) {
    T v = 0;
    const auto got = std::from_chars(at, end, v);
    if (got.ec != std::errc() || !is_plain({at, static_cast<size_t>(got.ptr - at)})) return false;
    bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
    at = got.ptr;
    spaces();
    if (at == end) return true;
    if (*at++ != ',') return false;
    spaces();
    if (at == end) return false;  // a comma at the end
  }
  return true;
}

}  // namespace

NumberLists::NumberLists(std::string_view json) : json_(json) {
  apart_ = json.size() >= kWorth && set_apart();
}

bool NumberLists::set_apart() {
  size_t copied = 0;
  for (size_t at = 0; at < json_.size();) {
    if (json_[at] == '\\') return false;
    if (json_[at++] != '"') continue;
    const size_t end = json_.find_first_of("\"\\", at);
    if (end == json_.npos || json_[end] == '\\') return false;
    const std::string_view text = json_.substr(at, end - at);
    at = end + 1;
    if (text != "data") continue;
    skip(json_, at);
    if (at == json_.size() || json_[at] != ':') continue;  // a value, not a name
    skip(json_, ++at);
    if (at == json_.size() || json_[at] != '[') return false;
    const size_t from = at + 1;
    // If there is more than numbers up to here, the rest is no JSON, or read() finds it.
    const size_t close = json_.find(']', from);
    if (close == json_.npos) return false;
    lists_.push_back(json_.substr(from, close - from));
    rest_.append(json_, copied, at - copied);
    rest_ += "null";
    at = copied = close + 1;
  }
  rest_.append(json_, copied);
  return true;
}

bool NumberLists::match(const Json& parsed) {
  if (!apart_) return true;
  std::vector<const Json*> values;
  collect(parsed, values);
  if (values.size() != lists_.size()) return false;
  for (size_t i = 0; i < values.size(); ++i) found_[values[i]] = lists_[i];
  return true;
}

bool NumberLists::read(const Json& data, DType type, std::string& bytes) const {
  const std::string_view list = found_.at(&data);
  switch (type) {
    case DType::f32:
      return read_as<float>(list, bytes);
    case DType::f64:
      return read_as<double>(list, bytes);
    case DType::i8:
      return read_as<int8_t>(list, bytes);
    case DType::u8:
      return read_as<uint8_t>(list, bytes);
    case DType::i32:
      return read_as<int32_t>(list, bytes);
    case DType::i64:
      return read_as<int64_t>(list, bytes);
    default:
      return false;
  }
}

}  // namespace nacre::serve
