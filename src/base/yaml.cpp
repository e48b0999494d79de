#include "base/yaml.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "base/file.h"
#include "base/json_builder.h"
#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

bool is_one_of(std::string_view s, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), s) != words.end();
}

/// The value of a plain scalar by the core schema.
Json resolve(const std::string& s) {
  if (is_one_of(s, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (is_one_of(s, {"true", "True", "TRUE"})) return true;
  if (is_one_of(s, {"false", "False", "FALSE"})) return false;
  if (is_one_of(s, {".nan", ".NaN", ".NAN"})) return NAN;
  const bool sign = s[0] == '-' || s[0] == '+';
  const double direction = s[0] == '-' ? -1 : 1;
  const std::string_view body = std::string_view(s).substr(sign);
  if (is_one_of(body, {".inf", ".Inf", ".INF"})) return direction * INFINITY;
  const char* end = body.data() + body.size();
  if (!sign && body.size() > 2 && (body.starts_with("0x") || body.starts_with("0o"))) {
    int64_t v = 0;
    const auto done = std::from_chars(body.data() + 2, end, v, body[1] == 'x' ? 16 : 8);
    if (done.ec == std::errc() && done.ptr == end && body[2] != '-') return v;
    return s;
  }
  if (body.empty() || body.find_first_not_of("0123456789.eE+-") != body.npos ||
      !(std::isdigit(static_cast<unsigned char>(body[0])) || body[0] == '.'))
    return s;
  const char* start = s[0] == '+' ? s.data() + 1 : s.data();
  int64_t whole = 0;
  if (const auto done = std::from_chars(start, s.data() + s.size(), whole);
      done.ec == std::errc() && done.ptr == s.data() + s.size())
    return whole;
  double number = 0;
  const auto done = std::from_chars(start, s.data() + s.size(), number);
  if (done.ec == std::errc() && done.ptr == s.data() + s.size()) return number;
  return s;
}

[[noreturn]] void refuse(std::string_view what, const YAML::Mark& mark, std::string_view why) {
  if (mark.is_null()) fail(Error::Kind::data, {what, ": ", why});
  fail(Error::Kind::data, {what, ":", mark.line + 1, ":", mark.column + 1, ": ", why});
}

/// The library guesses at other encodings and lets control characters pass.
void check_characters(std::string_view text, std::string_view what) {
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = next_character(text, at);
    const bool broken = c == 0xfffd && at - start == 1;
    const bool control = (c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f ||
                         c == 0xfeff || c == 0xfffe || c == 0xffff;
    if (broken || control)
      fail(Error::Kind::data,
           {what, ":", line, ": ", broken ? "the text is not UTF-8" : "a control character"});
    line += c == '\n';
  }
}

class YamlEvents : public YAML::EventHandler {
 public:
  YamlEvents(std::string_view what, const JsonLimits& limits) : what_(what), builder_(limits) {}
  Json take() { return builder_.take(); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, nullptr);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    mark_ = mark;
    if (wants_key_.size() && wants_key_.back() == State::key) {
      if (value == "<<" && tag == "?") refuse(what_, mark, "merge keys (<<) are not supported");
      builder_.key(value);
      wants_key_.back() = State::value;
      return;
    }
    if (tag == "?" || tag.empty()) return add(mark, anchor, resolve(value));
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return add(mark, anchor, value);
    Json v = resolve(value);
    const auto is = [&](const char* name, Json::Kind kind) {
      return tag == std::string("tag:yaml.org,2002:") + name && v.kind() == kind;
    };
    if (tag == "tag:yaml.org,2002:float" && v.kind() == Json::Kind::integer) v = v.number();
    if (!is("int", Json::Kind::integer) && !is("float", Json::Kind::number) &&
        !is("bool", Json::Kind::boolean) && !is("null", Json::Kind::null))
      refuse(what_, mark,
             cat({"the tag '", clip(printable(tag), 60), "' is not known or does not fit"}));
    add(mark, anchor, std::move(v));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(what_, mark, "an alias stands inside its own anchor");
    guarded(mark, [&] { builder_.copy(found->second); });
    after_value(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, "tag:yaml.org,2002:seq", anchor, Json::array(), State::list);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, "tag:yaml.org,2002:map", anchor, Json::object(), State::key);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  /// What comes next in the innermost container.
  enum class State { list, key, value };

  template <typename Body>
  void guarded(const YAML::Mark& mark, Body body) {
    mark_ = mark;
    try {
      body();
    } catch (const JsonBuilder::Problem& problem) {
      refuse(what_, mark, problem.text);
    }
  }
  void remember(YAML::anchor_t anchor, const Json& v) {
    if (!anchor) return;
    builder_.charge(v);
    anchors_[anchor] = v;
  }
  void after_value(const YAML::Mark& mark) {
    if (wants_key_.empty()) return;
    if (wants_key_.back() == State::key) refuse(what_, mark, "a key has to be text");
    if (wants_key_.back() == State::value) wants_key_.back() = State::key;
  }
  void add(const YAML::Mark& mark, YAML::anchor_t anchor, Json v) {
    if (wants_key_.size() && wants_key_.back() == State::key)
      refuse(what_, mark, "a key has to be text");
    guarded(mark, [&] { remember(anchor, builder_.value(std::move(v))); });
    after_value(mark);
  }
  void open(const YAML::Mark& mark, const std::string& tag, const char* own_tag,
            YAML::anchor_t anchor, Json container, State state) {
    if (tag != "?" && !tag.empty() && tag != "!" && tag != own_tag)
      refuse(what_, mark, cat({"the tag '", clip(printable(tag), 60), "' is not known"}));
    if (wants_key_.size() && wants_key_.back() == State::key)
      refuse(what_, mark, "a key has to be text");
    guarded(mark, [&] { builder_.open(std::move(container)); });
    wants_key_.push_back(state);
    open_anchors_.push_back(anchor);
  }
  void close() {
    wants_key_.pop_back();
    const YAML::anchor_t anchor = open_anchors_.back();
    open_anchors_.pop_back();
    guarded(mark_, [&] { remember(anchor, builder_.close()); });
    after_value(mark_);
  }

  std::string_view what_;
  JsonBuilder builder_;
  YAML::Mark mark_;
  std::vector<State> wants_key_;
  std::vector<YAML::anchor_t> open_anchors_;
  std::map<YAML::anchor_t, Json> anchors_;
};

bool is_scalar(const Json& v) { return v.size() == 0; }

void emit_text(YAML::Emitter& out, const std::string& text) {
  // Quoted whenever plain text would be read as something else.
  const Json read = resolve(text);
  if (!read.is_text() || text == "<<" || text.find_first_of("\n\r\t") != text.npos)
    out << YAML::DoubleQuoted;
  out << text;
}

void emit(YAML::Emitter& out, const Json& v) {
  switch (v.kind()) {
    case Json::Kind::null:
      out << YAML::Null;
      break;
    case Json::Kind::boolean:
      out << v.boolean();
      break;
    case Json::Kind::integer:
      out << v.integer();
      break;
    case Json::Kind::number: {
      const double x = v.number();
      out << (std::isnan(x) ? ".nan" : std::isinf(x) ? (x < 0 ? "-.inf" : ".inf") : print_json(x));
      break;
    }
    case Json::Kind::text:
      emit_text(out, v.text());
      break;
    case Json::Kind::list: {
      const auto& items = v.list();
      if (std::all_of(items.begin(), items.end(), is_scalar)) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const Json& item : items) emit(out, item);
      out << YAML::EndSeq;
      break;
    }
    case Json::Kind::object:
      if (v.size() == 0) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& [name, item] : v.fields()) {
        out << YAML::Key;
        emit_text(out, name);
        out << YAML::Value;
        emit(out, item);
      }
      out << YAML::EndMap;
      break;
  }
}

}  // namespace

Json parse_yaml(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.bytes)
    fail(Error::Kind::data,
         {what, " has ", text.size(), " bytes, more than the limit of ", limits.bytes});
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  check_characters(text, what);
  std::istringstream in{std::string(text)};
  YamlEvents events(what, limits);
  try {
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(events)) return nullptr;
    Json first = events.take();
    YamlEvents rest(what, limits);
    if (parser.HandleNextDocument(rest))
      fail(Error::Kind::data, {what, " holds more than one document"});
    return first;
  } catch (const YAML::Exception& e) {
    refuse(what, e.mark, clip(printable(e.msg), 300));
  }
}

Json read_yaml_file(const std::string& path, const JsonLimits& limits) {
  return parse_yaml(read_file(path, limits.bytes), path, limits);
}

std::string print_yaml(const Json& value) {
  YAML::Emitter out;
  emit(out, value);
  if (!out.good()) fail(Error::Kind::internal, {"cannot print YAML: ", out.GetLastError()});
  return std::string(out.c_str()) + "\n";
}

}  // namespace nacre
