// Options as text, "width=32 layers=3-4-6-3", of models and labs.
#pragma once

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/attrs.h"
#include "nacre/op.h"
#include "nacre/shape.h"

namespace nacre {

/// Sets fields from "name=value" pairs, or writes them out.
class Options : public FieldVisitor {
 public:
  /// `kind` ("model") and `name` are for messages. What is given goes before what is set.
  Options(std::string_view kind, std::string_view name, std::string_view set, std::string_view text)
      : kind_(kind), model_(name) {
    std::string spaced = std::string(set) + " " + std::string(text);
    std::replace(spaced.begin(), spaced.end(), ',', ' ');
    std::stringstream ss(spaced);
    for (std::string item; ss >> item;) {
      const auto eq = item.find('=');
      if (eq == std::string::npos)
        fail(Error::Kind::usage, {"option '", item, "' of ", model_, " should be name=value"});
      given_.emplace_back(item.substr(0, eq), item.substr(eq + 1));
    }
    used_.resize(given_.size());
  }
  void operator()(const char* n, bool& v) override {
    if (const auto* s = take(n))
      v = *s == "true" || *s == "1" || (*s != "false" && *s != "0" && bad(n, *s, "true or false"));
    write(n, v ? "true" : "false");
  }
  void operator()(const char* n, int64_t& v) override {
    if (const auto* s = take(n)) {
      v = integer(n, *s);
      const std::string_view name = n;
      if (v < 1 && (name == "classes" || name == "out" || name == "in" || name == "channels"))
        bad(n, *s, "at least 1");
    }
    write(n, std::to_string(v));
  }
  void operator()(const char* n, double& v) override {
    if (const auto* s = take(n)) {
      std::stringstream ss(*s);
      if (!(ss >> v) || !ss.eof()) bad(n, *s, "a number");
    }
    write(n, Piece(v).text());
  }
  void operator()(const char* n, std::string& v) override {
    if (const auto* s = take(n)) v = *s;
    write(n, v);
  }
  void operator()(const char* n, Ints& v) override {
    if (const auto* s = take(n)) {
      v = Ints();
      std::stringstream ss(*s);
      for (std::string part; std::getline(ss, part, '-');) v.push_back(integer(n, part));
    }
    std::string text;
    for (int64_t d : v) text += (text.empty() ? "" : "-") + std::to_string(d);
    write(n, text);
  }
  void operator()(const char* n, DType& v) override {
    if (const auto* s = take(n)) v = dtype_from_name(*s);
    write(n, std::string(name_of(v)));
  }
  void operator()(const char*, std::shared_ptr<const Graph>&) override {}

  /// The value of an option that is no field; empty: not given.
  std::string extra(const char* n) {
    const auto* s = take(n);
    if (s && !s->empty()) write(n, *s);
    return s ? *s : "";
  }
  void finish() const {
    for (size_t i = 0; i < given_.size(); ++i)
      if (!used_[i])
        fail(Error::Kind::usage,
             {kind_, " ", model_, " has no option '", given_[i].first, "'; it has ", text_});
  }
  const std::string& text() const { return text_; }

 private:
  const std::string* take(const char* name) {
    const std::string* found = nullptr;
    for (size_t i = 0; i < given_.size(); ++i)
      if (given_[i].first == name) {
        used_[i] = true;
        found = &given_[i].second;
      }
    return found;
  }
  int64_t integer(const char* n, const std::string& s) {
    int64_t v = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
    if (error != std::errc() || end != s.data() + s.size()) bad(n, s, "an integer");
    return v;
  }
  [[noreturn]] bool bad(const char* n, const std::string& s, const char* want) {
    fail(Error::Kind::usage,
         {"option ", n, " of ", model_, " should be ", want, ", got '", s, "'"});
  }
  void write(const char* n, const std::string& v) {
    text_ += (text_.empty() ? "" : " ") + std::string(n) + "=" + v;
  }

  std::string kind_, model_;
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<bool> used_;
  std::string text_;
};

/// Shape of one input of a model of the zoo with these options, without the batch: the entry's, but
/// for what the options channels, side and in say of it. Empty where the entry has none.
Shape model_input(std::string_view name, std::string_view options = {});

/// A struct of options with its defaults.
struct OptionValues {
  const AttrType* type;
  void* value;
  explicit OptionValues(const AttrType* t) : type(t), value(t->make()) {}
  ~OptionValues() { type->destroy(value); }
  OptionValues(const OptionValues&) = delete;
};

}  // namespace nacre
