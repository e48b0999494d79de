#include "autodl/fit_study.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "train/setup.h"

namespace nacre {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Json settings_json(const FitOptions& o) {
  Json j = Json::object();
  j["data"] = std::filesystem::weakly_canonical(o.data).string();
  j["target"] = o.target;
  j["task"] = o.task;
  j["seed"] = o.seed;
  j["trials"] = o.trials;
  j["budget"] = o.budget;
  j["size_limit"] = std::to_string(o.size_limit);
  j["memory_limit"] = std::to_string(o.memory_limit);
  j["latency_limit"] = o.latency_limit;
  j["from"] = o.from;
  j["nested"] = o.nested;
  j["keep"] = o.keep;
  j["folder"] = std::filesystem::weakly_canonical(folder_of(o.out)).string();
  return j;
}

FitOptions options_of(const Json& j) {
  FitOptions o;
  o.data = j.at("data").text();
  o.target = j.at("target").text();
  o.task = j.at("task").text();
  o.seed = j.at("seed").integer();
  o.trials = j.at("trials").integer();
  o.budget = j.at("budget").number();
  o.size_limit = std::strtoull(j.at("size_limit").text().c_str(), nullptr, 10);
  o.memory_limit = std::strtoull(j.at("memory_limit").text().c_str(), nullptr, 10);
  o.latency_limit = j.at("latency_limit").number();
  o.from = j.at("from").text();
  o.nested = j.integer_or("nested", 0);
  o.keep = j.integer_or("keep", 0);
  o.out = j.at("folder").text() + "/model.safetensors";
  return o;
}

std::string about_of(const FitTask& t) {
  DataSplits d;
  d.train = t.pool;
  d.test = t.test;
  return cat({"fit ", printable(t.options.target), " ", std::to_string(data_fingerprint(d)), " ",
              t.options.from});
}

std::string task_words(const FitTask& t) {
  if (t.clips)
    return cat({"clips of sound (spectra of ", t.side_height, "x", t.side_width, ") of ",
                t.classes(), " classes"});
  if (t.pictures())
    return cat({"pictures (", t.channels, "x", t.side_height, "x", t.side_width, ") of ",
                t.classes(), " classes"});
  std::string target;
  if (const TableSchema* schema = t.pool->schema(); schema && schema->target >= 0)
    target = cat({" in '", schema->columns[static_cast<size_t>(schema->target)].name, "'"});
  return t.regression ? cat({"rows with a value to predict", target})
                      : cat({"rows of ", t.classes(), " classes", target});
}

FitTrial shown(const Trial& t) {
  FitTrial f;
  f.number = t.number;
  f.state = t.state;
  f.label = t.label.empty() ? "search" : t.label;
  f.model = t.point.has("model") ? t.point.word("model") : "";
  Point rest = t.point;
  rest.values.erase("model");
  f.settings = rest.str();
  f.value = t.value;
  f.seconds = t.seconds;
  f.note = t.note;
  if (t.state != Trial::State::done) return f;
  const Json j = parse_json(t.note, "a trial of the study");
  f.note = j.text_or("note", "");
  f.score = j.number_or("score", 0);
  f.loss = j.number_or("loss", 0);
  f.epochs = j.integer_or("epochs", 0);
  f.rounds = j.integer_or("rounds", 0);
  f.bytes = static_cast<uint64_t>(j.integer_or("bytes", 0));
  f.latency = j.number_or("latency", 0);
  f.predicting = j.number_or("predicting", 0);
  f.part = j.number_or("part", 1);
  return f;
}

Json nested_json(const NestedResult& r) {
  Json j = Json::object(), list = Json::array();
  for (const FamilyScore& f : r.families)
    list.push_back(Json::array({f.family, f.inner, f.outer, f.chosen}));
  j["families"] = list;
  j["inner"] = r.inner;
  j["outer"] = r.outer;
  j["parts"] = r.parts;
  return j;
}

NestedResult nested_from(const Json& j) {
  NestedResult r;
  for (const Json& f : j.at("families").list())
    r.families.push_back({f.list().at(0).text(), f.list().at(1).number(), f.list().at(2).number(),
                          f.list().at(3).integer()});
  if (!r.families.empty()) r.chosen = r.families[0].family;
  r.inner = j.at("inner").number();
  r.outer = j.at("outer").number();
  r.parts = j.at("parts").integer();
  return r;
}

Point FitSampler::draw(const SearchSpace& space, std::span<const Trial> trials, Key key) const {
  const PointSampler& inner = wide && trials.size() % 2 ? *even_ : *search_;
  if (family.empty()) return inner.draw(space, trials, key);
  SearchSpace narrow;
  for (const SearchDimension& d : space.dimensions()) {
    const bool of_model = d.parent == "model";
    if (of_model && std::find(d.when.begin(), d.when.end(), family) == d.when.end()) continue;
    const auto words = d.name == "model" ? std::vector<std::string>{family} : d.words;
    if (d.kind == SearchDimension::Kind::choice) narrow.choice(d.name, words);
    if (d.kind == SearchDimension::Kind::real) narrow.real(d.name, d.low, d.high, d.log);
    if (d.kind == SearchDimension::Kind::integer)
      narrow.integer(d.name, static_cast<int64_t>(d.low), static_cast<int64_t>(d.high), d.log);
    if (!d.parent.empty())
      narrow.when(d.parent, of_model ? std::vector<std::string>{family} : d.when);
  }
  return inner.draw(narrow, trials, key);
}

}  // namespace nacre
