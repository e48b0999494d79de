#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json_builder.h"
#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

/// nlohmann's own parser does not recurse, so that depth is only limited by the builder.
struct JsonEvents : nlohmann::json_sax<nlohmann::json> {
  explicit JsonEvents(const JsonLimits& limits, const JsonFieldSink* fields)
      : builder(limits, fields) {}
  bool null() override { return builder.value(nullptr), true; }
  bool boolean(bool v) override { return builder.value(v), true; }
  bool number_integer(number_integer_t v) override { return builder.value(int64_t{v}), true; }
  bool number_unsigned(number_unsigned_t v) override { return builder.value(Json(v)), true; }
  bool number_float(number_float_t v, const string_t&) override { return builder.value(v), true; }
  bool string(string_t& v) override { return builder.value(std::move(v)), true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return builder.open(Json::object()), true; }
  bool key(string_t& v) override { return builder.key(std::move(v)), true; }
  bool end_object() override { return builder.close(), true; }
  bool start_array(std::size_t) override { return builder.open(Json::array()), true; }
  bool end_array() override { return builder.close(), true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) override {
    error = e.what();
    // Without the library's own error number: "line 1, column 5: syntax error ...".
    if (const auto at = error.find("line "); at != error.npos) error.erase(0, at);
    return false;
  }
  JsonBuilder builder;
  std::string error;
};

void print(const Json& v, int indent, int level, std::string& out) {
  const auto line = [&](int l) {
    if (indent > 0) out += "\n" + std::string(static_cast<size_t>(indent * l), ' ');
  };
  const auto scalar = [&](const nlohmann::json& j) {
    out += j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  switch (v.kind()) {
    case Json::Kind::null:
      out += "null";
      break;
    case Json::Kind::boolean:
      out += v.boolean() ? "true" : "false";
      break;
    case Json::Kind::integer:
      out += std::to_string(v.integer());
      break;
    case Json::Kind::number: {
      const double x = v.number();
      if (std::isfinite(x))
        scalar(x);
      else
        out += std::isnan(x) ? "\"NaN\"" : x < 0 ? "\"-Infinity\"" : "\"Infinity\"";
      break;
    }
    case Json::Kind::text:
      scalar(v.text());
      break;
    case Json::Kind::list: {
      const char* separator = "";
      out += "[";
      for (const Json& item : v.list()) {
        out += std::exchange(separator, indent > 0 ? "," : ", ");
        line(level + 1);
        print(item, indent, level + 1, out);
      }
      if (v.size()) line(level);
      out += "]";
      break;
    }
    case Json::Kind::object: {
      const char* separator = "";
      out += "{";
      for (const auto& [name, item] : v.fields()) {
        out += std::exchange(separator, indent > 0 ? "," : ", ");
        line(level + 1);
        scalar(name);
        out += ": ";
        print(item, indent, level + 1, out);
      }
      if (v.size()) line(level);
      out += "}";
      break;
    }
  }
}

}  // namespace

// --- the value

Json::Json(unsigned long v) {
  if (v <= static_cast<unsigned long>(INT64_MAX))
    value_ = static_cast<int64_t>(v);
  else
    value_ = static_cast<double>(v);
}
Json::Json(unsigned long long v) : Json(static_cast<unsigned long>(v)) {}

std::string_view Json::kind_name() const {
  constexpr std::string_view names[] = {"null", "a boolean", "an integer", "a number",
                                        "text", "a list",    "an object"};
  return names[value_.index()];
}

void Json::wrong(std::string_view wanted) const {
  std::string shown(kind_name());
  if (size() == 0 && !is_null()) shown += " (" + clip(printable(print_json(*this)), 60) + ")";
  fail(Error::Kind::data, {"expected ", wanted, ", got ", shown});
}

bool Json::boolean() const {
  if (const auto* v = std::get_if<bool>(&value_)) return *v;
  wrong("true or false");
}

int64_t Json::integer() const {
  if (const auto* v = std::get_if<int64_t>(&value_)) return *v;
  if (const auto* v = std::get_if<double>(&value_))
    if (*v == std::floor(*v) && std::abs(*v) < 9.2e18) return static_cast<int64_t>(*v);
  wrong("an integer");
}

double Json::number() const {
  if (const auto* v = std::get_if<double>(&value_)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value_)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<std::string>(&value_)) {
    if (*v == "NaN") return NAN;
    if (*v == "Infinity") return INFINITY;
    if (*v == "-Infinity") return -INFINITY;
  }
  wrong("a number");
}

const std::string& Json::text() const {
  if (const auto* v = std::get_if<std::string>(&value_)) return *v;
  wrong("text");
}

const Json::List& Json::list() const {
  if (const auto* v = std::get_if<List>(&value_)) return *v;
  wrong("a list");
}

const Json::Fields& Json::fields() const {
  if (const auto* v = std::get_if<Fields>(&value_)) return *v;
  wrong("an object");
}

Json::List& Json::list() { return const_cast<List&>(std::as_const(*this).list()); }
Json::Fields& Json::fields() { return const_cast<Fields&>(std::as_const(*this).fields()); }

const Json* Json::find(std::string_view name) const {
  if (const auto* fields = std::get_if<Fields>(&value_))
    for (const auto& [key, item] : *fields)
      if (key == name) return &item;
  return nullptr;
}

const Json& Json::at(std::string_view name) const {
  for (const auto& [key, item] : fields())
    if (key == name) return item;
  fail(Error::Kind::data, {"the field '", name, "' is missing"});
}

Json& Json::operator[](std::string_view name) {
  if (is_null()) value_ = Fields();
  if (const Json* found = find(name)) return const_cast<Json&>(*found);
  return fields().emplace_back(std::string(name), Json()).second;
}

void Json::push_back(Json v) {
  if (is_null()) value_ = List();
  list().push_back(std::move(v));
}

size_t Json::size() const {
  if (const auto* v = std::get_if<List>(&value_)) return v->size();
  if (const auto* v = std::get_if<Fields>(&value_)) return v->size();
  return 0;
}

bool Json::boolean_or(std::string_view name, bool otherwise) const {
  const Json* v = find(name);
  return v && !v->is_null() ? v->boolean() : otherwise;
}
int64_t Json::integer_or(std::string_view name, int64_t otherwise) const {
  const Json* v = find(name);
  return v && !v->is_null() ? v->integer() : otherwise;
}
double Json::number_or(std::string_view name, double otherwise) const {
  const Json* v = find(name);
  return v && !v->is_null() ? v->number() : otherwise;
}
std::string Json::text_or(std::string_view name, std::string otherwise) const {
  const Json* v = find(name);
  return v && !v->is_null() ? v->text() : std::move(otherwise);
}

// --- the builder

int64_t JsonBuilder::count(const Json& v) const {
  int64_t n = 1;
  if (v.is_list())
    for (const Json& item : v.list()) n += count(item);
  if (v.is_object())
    for (const auto& field : v.fields()) n += count(field.second);
  return n;
}

void JsonBuilder::add(int64_t n) {
  values_ += n;
  if (values_ > limits_.values) throw Problem{cat({"more than ", limits_.values, " values"})};
}

void JsonBuilder::open(Json container) {
  if (static_cast<int>(levels_.size()) >= limits_.depth)
    throw Problem{cat({"nested deeper than ", limits_.depth, " levels"})};
  add(1);
  levels_.push_back({std::move(container), ""});
}

const Json& JsonBuilder::close() {
  Json done = std::move(levels_.back().json);
  levels_.pop_back();
  if (done.is_object()) {
    std::vector<std::string_view> names;
    for (const auto& field : done.fields()) names.push_back(field.first);
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
      throw Problem{cat({"the field '", clip(printable(*twice), 100), "' stands twice"})};
  }
  return attach(std::move(done));
}

void JsonBuilder::key(std::string name) { levels_.back().key = std::move(name); }

const Json& JsonBuilder::value(Json v) {
  add(1);
  return attach(std::move(v));
}

const Json& JsonBuilder::copy(const Json& v) {
  charge(v);
  return attach(v);
}

const Json& JsonBuilder::attach(Json v) {
  if (levels_.empty()) return root_ = std::move(v);
  Level& parent = levels_.back();
  if (fields_ && levels_.size() == 1) {
    if (!parent.json.is_object()) throw Problem{"an object is expected"};
    (*fields_)(std::move(parent.key), std::move(v));
    values_ = 0;
    return root_;
  }
  if (parent.json.is_list()) return parent.json.list().emplace_back(std::move(v));
  return parent.json.fields().emplace_back(std::move(parent.key), std::move(v)).second;
}

// --- text

namespace {

/// Throws if a text has no end, or has it too far away.
void check_texts(std::string_view json, std::string_view what, uint64_t longest) {
  for (size_t begin = 0; (begin = json.find('"', begin)) != json.npos;) {
    size_t end = ++begin;
    while ((end = json.find_first_of("\"\\", end)) != json.npos && json[end] == '\\') end += 2;
    const size_t bytes = std::min(end, json.size()) - begin;
    if (bytes > longest)
      fail(Error::Kind::data, {what, ": a text has ", bytes, " bytes, more than ", longest});
    if (end >= json.size()) return;
    begin = end + 1;
  }
}

Json parse(std::string_view text, std::string_view what, const JsonLimits& limits,
           const JsonFieldSink* fields) {
  if (text.size() > limits.bytes)
    fail(Error::Kind::data,
         {what, " has ", text.size(), " bytes of JSON, more than the limit of ", limits.bytes});
  if (text.size() > limits.text) check_texts(text, what, limits.text);
  JsonEvents events(limits, fields);
  try {
    if (nlohmann::json::sax_parse(text.begin(), text.end(), &events)) return events.builder.take();
  } catch (const JsonBuilder::Problem& problem) {
    fail(Error::Kind::data, {what, ": ", problem.text});
  }
  fail(Error::Kind::data, {what, ": ", clip(printable(events.error), 300)});
}

}  // namespace

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  return parse(text, what, limits, nullptr);
}

void parse_json_fields(std::string_view text, std::string_view what, const JsonFieldSink& field,
                       const JsonLimits& limits) {
  if (!parse(text, what, limits, &field).is_object())
    fail(Error::Kind::data, {what, ": an object is expected"});
}

Json read_json_file(const std::string& path, const JsonLimits& limits) {
  return parse_json(read_file(path, limits.bytes), path, limits);
}

std::string print_json(const Json& value, int indent) {
  std::string out;
  print(value, indent, 0, out);
  return out;
}

}  // namespace nacre
