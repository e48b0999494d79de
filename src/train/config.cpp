#include <charconv>
#include <sstream>

#include "base/json.h"
#include "base/yaml.h"
#include "nacre/train.h"

namespace nacre {
namespace {

[[noreturn]] void wrong(const char* name, const char* want, const std::string& got) {
  fail(Error::Kind::usage, {"setting '", name, "' should be ", want, ", got '", got, "'"});
}

/// The text of a scalar, however it was written.
std::string text_of(const Json& j) { return j.is_text() ? j.text() : print_json(j); }

/// Visits every field once: writes it to a Json object, or sets the one that is named.
class Fields : public FieldVisitor {
 public:
  Json all = Json::object();
  std::string name, value;  // to set
  bool set = false, found = false;
  void operator()(const char* n, bool& v) override {
    if (mine(n))
      v = value == "true"    ? true
          : value == "false" ? false
                             : (wrong(n, "true or false", value), false);
    all[n] = v;
  }
  void operator()(const char* n, int64_t& v) override {
    if (mine(n)) {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), v);
      if (error != std::errc() || end != value.data() + value.size()) wrong(n, "an integer", value);
    }
    all[n] = v;
  }
  void operator()(const char* n, double& v) override {
    if (mine(n)) {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), v);
      if (error != std::errc() || end != value.data() + value.size()) wrong(n, "a number", value);
    }
    all[n] = v;
  }
  void operator()(const char* n, std::string& v) override {
    if (mine(n)) v = value;
    all[n] = v;
  }
  void operator()(const char*, Ints&) override {}
  void operator()(const char*, DType&) override {}
  void operator()(const char*, std::shared_ptr<const Graph>&) override {}

 private:
  bool mine(const char* n) {
    const bool yes = set && name == n;
    found = found || yes;
    return yes;
  }
};

}  // namespace

void TrainConfig::fields(FieldVisitor& v) {
  v("model", model);
  v("options", options);
  v("data", data);
  v("out", out);
  v("transform", transform);
  v("from", from);
  v("freeze", freeze);
  v("epochs", epochs);
  v("batch", batch);
  v("loss", loss);
  v("optimizer", optimizer);
  v("lr", lr);
  v("weight_decay", weight_decay);
  v("momentum", momentum);
  v("schedule", schedule);
  v("label_smoothing", label_smoothing);
  v("l1", l1);
  v("l2", l2);
  v("clip_norm", clip_norm);
  v("accumulate", accumulate);
  v("ema", ema);
  v("sampler", sampler);
  v("patience", patience);
  v("val_share", val_share);
  v("test_share", test_share);
  v("checkpoint_every", checkpoint_every);
  v("seed", seed);
  v("workers", workers);
  v("resume", resume);
}

std::vector<std::string> TrainConfig::names() {
  Fields f;
  TrainConfig().fields(f);
  std::vector<std::string> list;
  for (const auto& [name, value] : f.all.fields()) list.push_back(name);
  return list;
}

void TrainConfig::set(const std::string& name, const std::string& value) {
  Fields f;
  f.name = name;
  f.value = value;
  f.set = true;
  fields(f);
  if (f.found) return;
  std::string known;
  for (const auto& [n, v] : f.all.fields()) known += (known.empty() ? "" : ", ") + n;
  fail(Error::Kind::usage, {"there is no setting '", name, "'; known are ", known});
}

std::string TrainConfig::to_yaml() const {
  Fields f;
  const_cast<TrainConfig*>(this)->fields(f);  // a writing visitor does not change the fields
  return print_yaml(f.all);
}

TrainConfig TrainConfig::for_model(const std::string& model) {
  TrainConfig c;
  c.model = model;
  std::stringstream settings(find_model(model).settings);
  for (std::string item; settings >> item;) {
    const auto eq = item.find('=');
    c.set(item.substr(0, eq), item.substr(eq + 1));
  }
  return c;
}

TrainConfig TrainConfig::from_yaml_file(const std::string& path) {
  const Json j = read_yaml_file(path);
  if (!j.is_object())
    fail(Error::Kind::usage, {path, " should hold settings, one 'name: value' a line"});
  TrainConfig c;
  if (j.has("model")) c = for_model(text_of(j.at("model")));
  for (const auto& [name, value] : j.fields()) {
    try {
      c.set(name, value.is_null() ? "" : text_of(value));
    } catch (const Error& e) {
      fail(Error::Kind::usage, {path, ": ", e.what()});
    }
  }
  return c;
}

}  // namespace nacre
