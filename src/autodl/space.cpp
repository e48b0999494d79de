#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "nacre/error.h"
#include "nacre/study.h"

namespace nacre {
namespace {

const char* kind_word(SearchDimension::Kind kind) {
  return kind == SearchDimension::Kind::real      ? "real"
         : kind == SearchDimension::Kind::integer ? "integer"
                                                  : "choice";
}

std::string text_of(const SearchValue& v) {
  if (const auto* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&v)) return Piece(*d).text();
  return std::get<std::string>(v);
}

const SearchValue& find(const Point& p, const std::string& name) {
  const auto at = p.values.find(name);
  if (at == p.values.end())
    fail(Error::Kind::usage, {"the point (", p.str(), ") has no value '", name, "'"});
  return at->second;
}

}  // namespace

double Point::number(const std::string& name) const {
  const SearchValue& v = find(*this, name);
  if (const auto* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&v)) return *d;
  nacre::fail(Error::Kind::usage, {"value '", name, "' is '", text_of(v), "', not a number"});
}

int64_t Point::integer(const std::string& name) const {
  const SearchValue& v = find(*this, name);
  if (const auto* i = std::get_if<int64_t>(&v)) return *i;
  nacre::fail(Error::Kind::usage, {"value '", name, "' is '", text_of(v), "', not an integer"});
}

const std::string& Point::word(const std::string& name) const {
  const SearchValue& v = find(*this, name);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  nacre::fail(Error::Kind::usage,
              {"value '", name, "' is the number ", text_of(v), ", not a word"});
}

std::string Point::str() const {
  std::string out;
  for (const auto& [name, v] : values) {
    std::string text = text_of(v);
    if (const auto* d = std::get_if<double>(&v)) {
      char shorter[32];
      std::snprintf(shorter, sizeof shorter, "%.4g", *d);
      text = shorter;
    }
    out += (out.empty() ? "" : " ") + name + "=" + text;
  }
  return out;
}

std::string Point::to_json() const {
  Json j = Json::object();
  for (const auto& [name, v] : values) {
    Json one = Json::object();  // integers and numbers without a fraction stay apart
    if (const auto* i = std::get_if<int64_t>(&v))
      one["i"] = *i;
    else if (const auto* d = std::get_if<double>(&v))
      one["n"] = *d;
    else
      one["w"] = std::get<std::string>(v);
    j[name] = one;
  }
  return print_json(j);
}

Point Point::from_json(std::string_view text) {
  const Json j = parse_json(text, "a point of a study");
  Point p;
  for (const auto& [name, v] : j.fields()) {
    if (v.has("i"))
      p.values[name] = v.at("i").integer();
    else if (v.has("n"))
      p.values[name] = v.at("n").number();
    else
      p.values[name] = v.at("w").text();
  }
  return p;
}

SearchSpace& SearchSpace::add(SearchDimension d) {
  for (const SearchDimension& other : dimensions_)
    if (other.name == d.name)
      fail(Error::Kind::usage, {"the search space has '", d.name, "' already"});
  if (d.kind == SearchDimension::Kind::choice) {
    if (d.words.empty())
      fail(Error::Kind::usage, {"the choice '", d.name, "' of a search space needs words"});
  } else {
    if (!(d.low <= d.high) || !std::isfinite(d.low) || !std::isfinite(d.high))
      fail(Error::Kind::usage,
           {"'", d.name, "' should have low <= high, got ", d.low, " and ", d.high});
    if (d.log && d.low <= 0)
      fail(Error::Kind::usage,
           {"'", d.name, "' has a logarithm, so low should be above 0, got ", d.low});
  }
  dimensions_.push_back(std::move(d));
  return *this;
}

SearchSpace& SearchSpace::real(const std::string& name, double low, double high, bool log) {
  return add({name, SearchDimension::Kind::real, low, high, log, {}, "", {}});
}

SearchSpace& SearchSpace::integer(const std::string& name, int64_t low, int64_t high, bool log) {
  return add({name,
              SearchDimension::Kind::integer,
              static_cast<double>(low),
              static_cast<double>(high),
              log,
              {},
              "",
              {}});
}

SearchSpace& SearchSpace::choice(const std::string& name, std::vector<std::string> words) {
  return add({name, SearchDimension::Kind::choice, 0, 1, false, std::move(words), "", {}});
}

SearchSpace& SearchSpace::when(const std::string& parent, std::vector<std::string> words) {
  const auto at = std::find_if(dimensions_.begin(), dimensions_.end(),
                               [&](const SearchDimension& d) { return d.name == parent; });
  if (at == dimensions_.end() || at + 1 == dimensions_.end() ||
      at->kind != SearchDimension::Kind::choice)
    fail(Error::Kind::usage, {"'", parent,
                              "' should be a choice before the dimension that "
                              "depends on it"});
  for (const std::string& w : words)
    if (std::find(at->words.begin(), at->words.end(), w) == at->words.end())
      fail(Error::Kind::usage, {"'", parent, "' is never '", w, "'"});
  dimensions_.back().parent = parent;
  dimensions_.back().when = std::move(words);
  return *this;
}

bool SearchSpace::applies(size_t i, const Point& point) const {
  const SearchDimension& d = dimensions_[i];
  if (d.parent.empty()) return true;
  const auto at = point.values.find(d.parent);  // missing if the parent does not apply itself
  return at != point.values.end() &&
         std::find(d.when.begin(), d.when.end(), std::get<std::string>(at->second)) != d.when.end();
}

void SearchSpace::check(const Point& point) const {
  size_t used = 0;
  for (size_t i = 0; i < dimensions_.size(); ++i) {
    const SearchDimension& d = dimensions_[i];
    if (!applies(i, point)) continue;
    ++used;
    if (d.kind == SearchDimension::Kind::choice) {
      const std::string& w = point.word(d.name);
      if (std::find(d.words.begin(), d.words.end(), w) == d.words.end())
        fail(Error::Kind::usage, {"'", d.name, "' of the search space is never '", w, "'"});
      continue;
    }
    const double v = d.kind == SearchDimension::Kind::integer
                         ? static_cast<double>(point.integer(d.name))
                         : point.number(d.name);
    if (!(v >= d.low && v <= d.high))
      fail(Error::Kind::usage,
           {"'", d.name, "' should lie from ", d.low, " to ", d.high, ", got ", v});
  }
  if (used != point.values.size())
    for (const auto& [name, v] : point.values) {
      bool known = false;
      for (size_t i = 0; i < dimensions_.size(); ++i)
        known = known || (dimensions_[i].name == name && applies(i, point));
      if (!known)
        fail(Error::Kind::usage, {"'", name, "' has no place in the point (", point.str(), ")"});
    }
}

std::string SearchSpace::to_json() const {
  Json list = Json::array();
  const auto words_of = [](const std::vector<std::string>& words) {
    Json l = Json::array();
    for (const std::string& w : words) l.push_back(w);
    return l;
  };
  for (const SearchDimension& d : dimensions_) {
    Json j = Json::object();
    j["name"] = d.name;
    j["kind"] = kind_word(d.kind);
    if (d.kind == SearchDimension::Kind::choice) {
      j["words"] = words_of(d.words);
    } else {
      j["low"] = d.low;
      j["high"] = d.high;
      j["log"] = d.log;
    }
    if (!d.parent.empty()) {
      j["parent"] = d.parent;
      j["when"] = words_of(d.when);
    }
    list.push_back(j);
  }
  return print_json(list);
}

SearchSpace SearchSpace::from_json(std::string_view text) {
  const Json list = parse_json(text, "the space of a study");
  const auto words_of = [](const Json& l) {
    std::vector<std::string> words;
    for (const Json& w : l.list()) words.push_back(w.text());
    return words;
  };
  SearchSpace s;
  for (const Json& j : list.list()) {
    const std::string kind = j.at("kind").text();
    SearchDimension d;
    d.name = j.at("name").text();
    d.kind = kind == "real"      ? SearchDimension::Kind::real
             : kind == "integer" ? SearchDimension::Kind::integer
                                 : SearchDimension::Kind::choice;
    if (d.kind == SearchDimension::Kind::choice) {
      d.words = words_of(j.at("words"));
    } else {
      d.low = j.at("low").number();
      d.high = j.at("high").number();
      d.log = j.at("log").boolean();
    }
    s.add(d);
    if (j.has("parent")) s.when(j.at("parent").text(), words_of(j.at("when")));
  }
  return s;
}

}  // namespace nacre
