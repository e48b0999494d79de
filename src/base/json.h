// Json: a value of null, boolean, integer, number, text, list or object (fields in their order).
//
//   Json run = Json::object();
//   run["lr"] = 0.1;
//   run["labels"] = Json::array({"cat", "dog"});
//   std::string text = print_json(run);
//   double lr = parse_json(text, "run.json").at("lr").number();
//
// Readers of a wrong type and at() of a missing field throw Error(data). Numbers that JSON cannot
// write are written as the strings "NaN", "Infinity" and "-Infinity", which number() reads back.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nacre {

class Json {
 public:
  enum class Kind { null, boolean, integer, number, text, list, object };
  using List = std::vector<Json>;
  using Fields = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool v) : value_(v) {}
  Json(int v) : value_(int64_t{v}) {}
  Json(long v) : value_(int64_t{v}) {}
  Json(long long v) : value_(int64_t{v}) {}
  Json(unsigned v) : value_(int64_t{v}) {}
  Json(unsigned long v);
  Json(unsigned long long v);
  Json(double v) : value_(v) {}
  Json(float v) : value_(double{v}) {}
  Json(const char* v) : value_(std::string(v)) {}
  Json(std::string_view v) : value_(std::string(v)) {}
  Json(std::string v) : value_(std::move(v)) {}
  Json(List v) : value_(std::move(v)) {}
  static Json array(std::initializer_list<Json> items = {}) { return Json(List(items)); }
  static Json object(Fields fields = {}) {
    Json j;
    j.value_ = std::move(fields);
    return j;
  }

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  /// "an object", "text", "a number", for messages.
  std::string_view kind_name() const;
  bool is_null() const { return kind() == Kind::null; }
  bool is_text() const { return kind() == Kind::text; }
  bool is_list() const { return kind() == Kind::list; }
  bool is_object() const { return kind() == Kind::object; }

  bool boolean() const;
  /// An integer, or a number without a fraction.
  int64_t integer() const;
  double number() const;
  const std::string& text() const;
  const List& list() const;
  const Fields& fields() const;
  List& list();
  Fields& fields();

  /// The field with that name, or null if there is none. Linear in the number of fields.
  const Json* find(std::string_view name) const;
  const Json& at(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// The field, made if it is missing; a null value becomes an object.
  Json& operator[](std::string_view name);
  void push_back(Json v);
  /// Items of a list, fields of an object, else 0.
  size_t size() const;

  // The field's value, or `otherwise` if it is missing or null.
  bool boolean_or(std::string_view name, bool otherwise) const;
  int64_t integer_or(std::string_view name, int64_t otherwise) const;
  double number_or(std::string_view name, double otherwise) const;
  std::string text_or(std::string_view name, std::string otherwise) const;

  friend bool operator==(const Json&, const Json&) = default;

 private:
  [[noreturn]] void wrong(std::string_view wanted) const;
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Fields> value_;
};

/// What a text may hold at most.
struct JsonLimits {
  uint64_t bytes = 64u << 20;
  int depth = 64;
  int64_t values = 4'000'000;
  uint64_t text = UINT64_MAX;  ///< bytes of one text; the parser takes several times as many
};

/// Throws Error(data), naming `what` and the place, for text that is not JSON, exceeds the limits
/// or names a field twice. Integers beyond int64 are read as numbers.
Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});
/// The fields of an object one by one, for objects too large to be kept: `field` is given each as
/// it ends. `limits.values` holds for each; a name that stands twice is given twice.
using JsonFieldSink = std::function<void(std::string name, Json value)>;
void parse_json_fields(std::string_view text, std::string_view what, const JsonFieldSink& field,
                       const JsonLimits& limits = {});
Json read_json_file(const std::string& path, const JsonLimits& limits = {});

/// One line; or, with indent > 0, one line per item. Broken UTF-8 becomes U+FFFD.
std::string print_json(const Json& value, int indent = 0);

}  // namespace nacre
