#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "base/json.h"
#include "base/text.h"
#include "base/yaml.h"
#include "nacre/train.h"
#include "train/recipe_texts.h"

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
      const Json j = scalar();
      if (j.kind() == Json::Kind::number && std::abs(j.number()) >= 1e18)
        wrong(n, "an integer of at most 18 digits", value);
      if (j.kind() != Json::Kind::integer) wrong(n, "an integer", value);
      v = j.integer();
    }
    all[n] = v;
  }
  void operator()(const char* n, double& v) override {
    if (mine(n)) {
      const Json j = scalar();
      if (j.kind() != Json::Kind::integer && j.kind() != Json::Kind::number)
        wrong(n, "a number", value);
      v = j.number();
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
  /// Numbers of the command line are read as those of a file are.
  Json scalar() const {
    try {
      return parse_yaml(value, name);
    } catch (const Error&) {
      return value;
    }
  }
  bool mine(const char* n) {
    const bool yes = set && name == n;
    found = found || yes;
    return yes;
  }
};

Json written(const TrainConfig& c) {
  Fields f;
  const_cast<TrainConfig&>(c).fields(f);  // a writing visitor does not change the fields
  return f.all;
}

/// The settings that are one of a few words.
struct Choice {
  const char* name;
  std::string TrainConfig::*field;
  std::vector<std::string> words;
};

const std::vector<Choice>& all_choices() {
  static const std::vector<Choice> list = {
      {"task", &TrainConfig::task, {"auto", "classes", "values"}},
      {"loss",
       &TrainConfig::loss,
       {"auto", "cross_entropy", "focal", "margin", "mse", "perceptron"}},
      {"adapter", &TrainConfig::adapter, {"none", "lora", "residual"}},
      {"sampler", &TrainConfig::sampler, {"shuffle", "balanced"}},
      {"class_weights", &TrainConfig::class_weights, {"none", "balanced"}},
      {"precision", &TrainConfig::precision, {"f32", "bf16"}},
      {"on_error", &TrainConfig::on_error, {"fail", "skip"}},
  };
  return list;
}

}  // namespace

void TrainConfig::fields(FieldVisitor& v) {
  v("model", model);
  v("options", options);
  v("data", data);
  v("target", target);
  v("task", task);
  v("out", out);
  v("transform", transform);
  v("from", from);
  v("freeze", freeze);
  v("unfreeze", unfreeze);
  v("lr_scale", lr_scale);
  v("layer_decay", layer_decay);
  v("adapter", adapter);
  v("adapter_rank", adapter_rank);
  v("adapter_alpha", adapter_alpha);
  v("adapter_layers", adapter_layers);
  v("l2_sp", l2_sp);
  v("sample_weights", sample_weights);
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
  v("class_weights", class_weights);
  v("patience", patience);
  v("val_share", val_share);
  v("test_share", test_share);
  v("memory_limit", memory_limit);
  v("checkpoint_every", checkpoint_every);
  v("seed", seed);
  v("workers", workers);
  v("precision", precision);
  v("on_error", on_error);
  v("resume", resume);
}

std::vector<std::string> TrainConfig::names() {
  Fields f;
  TrainConfig().fields(f);
  std::vector<std::string> list;
  for (const auto& [name, value] : f.all.fields()) list.push_back(name);
  return list;
}

std::string TrainConfig::choices(const std::string& name) {
  std::string text;
  for (const Choice& c : all_choices())
    if (name == c.name)
      for (const std::string& word : c.words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void TrainConfig::check() const {
  constexpr double kMost = std::numeric_limits<double>::max(), kCount = 1e12;
  /// Values from `low` to `high`; without `edge`, neither `low` nor `high` itself.
  struct Range {
    const char* name;
    double value, low, high;
    bool low_edge, high_edge;
    const char* want;
  };
  const Range ranges[] = {
      {"epochs", static_cast<double>(epochs), 1, kCount, true, true, "from 1 to 1e12"},
      {"batch", static_cast<double>(batch), 1, 1 << 24, true, true, "from 1 to 16777216"},
      {"accumulate", static_cast<double>(accumulate), 1, kCount, true, true, "from 1 to 1e12"},
      {"patience", static_cast<double>(patience), 0, kCount, true, true, "from 0 (never) to 1e12"},
      {"checkpoint_every", static_cast<double>(checkpoint_every), 0, kCount, true, true,
       "from 0 to 1e12"},
      {"workers", static_cast<double>(workers), 0, 64, true, true, "from 0 to 64"},
      {"lr", lr, 0, kMost, false, true, "a number above 0"},
      {"weight_decay", weight_decay, 0, kMost, true, true, "a number of at least 0"},
      {"momentum", momentum, 0, 1, true, false, "at least 0 and below 1"},
      {"label_smoothing", label_smoothing, 0, 1, true, false, "at least 0 and below 1"},
      {"layer_decay", layer_decay, 0, 1, false, true, "above 0 and at most 1"},
      {"adapter_rank", static_cast<double>(adapter_rank), 1, 1 << 20, true, true,
       "from 1 to 1048576"},
      {"adapter_alpha", adapter_alpha, 0, kMost, true, true, "a number of at least 0"},
      {"l2_sp", l2_sp, 0, kMost, true, true, "a number of at least 0"},
      {"l1", l1, 0, kMost, true, true, "a number of at least 0"},
      {"l2", l2, 0, kMost, true, true, "a number of at least 0"},
      {"clip_norm", clip_norm, 0, kMost, true, true, "a number of at least 0"},
      {"ema", ema, 0, 1, true, false, "at least 0 and below 1"},
      {"val_share", val_share, 0, 1, true, false, "at least 0 and below 1"},
      {"test_share", test_share, 0, 1, true, false, "at least 0 and below 1"},
  };
  for (const Range& r : ranges) {
    const bool fits = (r.low_edge ? r.value >= r.low : r.value > r.low) &&
                      (r.high_edge ? r.value <= r.high : r.value < r.high);  // false for NaN
    if (!fits) wrong(r.name, r.want, Piece(r.value).text());
  }
  for (const Choice& c : all_choices())
    if (std::find(c.words.begin(), c.words.end(), this->*c.field) == c.words.end())
      wrong(c.name, ("one of " + choices(c.name)).c_str(), this->*c.field);
  schedule::parse(schedule, lr, 1, epochs);
  parse_bytes("setting 'memory_limit'", memory_limit);
  const Json now = written(*this), usual = written(TrainConfig());
  for (const auto& [name, value] : now.fields())
    if (const std::string why = without_effect(name);
        !why.empty() && print_json(value) != print_json(usual.at(name)))
      fail(Error::Kind::usage, {why});
}

std::string TrainConfig::without_effect(const std::string& name) const {
  if (adapter == "none" && (name == "adapter_rank" || name == "adapter_layers"))
    return name + " is of adapters; set adapter to lora or residual";
  if (adapter != "lora" && name == "adapter_alpha")
    return "adapter_alpha is of lora adapters; set adapter to lora";
  return "";
}

void TrainConfig::check_goes_on(const TrainConfig& begun) const {
  const Json now = written(*this), was = written(begun);
  for (const char* name :
       {"model",         "options",        "target",     "task",       "transform",
        "from",          "freeze",         "unfreeze",   "adapter",    "adapter_rank",
        "adapter_alpha", "adapter_layers", "l2_sp",      "batch",      "sample_weights",
        "loss",          "optimizer",      "schedule",   "accumulate", "ema",
        "sampler",       "val_share",      "test_share", "seed",       "on_error"})
    if (const std::string a = text_of(was.at(name)), b = text_of(now.at(name)); a != b)
      fail(Error::Kind::usage, {out, " was begun with the ", name, " '", a, "'; going on with '", b,
                                "' is not possible"});
}

void TrainConfig::set(const std::string& name, const std::string& value) {
  Fields f;
  f.name = name;
  f.value = value;
  f.set = true;
  fields(f);
  if (f.found) return;
  if (name == "device")
    fail(Error::Kind::usage, {"there is no setting 'device': nacre computes on the processor, "
                              "where '",
                              value, "' cannot be chosen"});
  std::string known;
  for (const auto& [n, v] : f.all.fields()) known += (known.empty() ? "" : ", ") + n;
  fail(Error::Kind::usage, {"there is no setting '", name, "'; known are ", known});
}

std::string TrainConfig::to_yaml() const { return print_yaml(written(*this)); }

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

TrainConfig config_from(const Json& j, const std::string& what) {
  if (!j.is_object())
    fail(Error::Kind::usage, {what, " should hold settings, one 'name: value' a line"});
  TrainConfig c;
  if (j.has("model")) c = TrainConfig::for_model(text_of(j.at("model")));
  for (const auto& [name, value] : j.fields()) {
    if (name == kRecipeKey) continue;
    try {
      c.set(name, value.is_null() ? "" : text_of(value));
    } catch (const Error& e) {
      fail(Error::Kind::usage, {what, ": ", e.what()});
    }
  }
  return c;
}

TrainConfig TrainConfig::from_yaml_file(const std::string& path) {
  Json j;
  try {
    j = read_yaml_file(path);
  } catch (const Error& e) {  // its text is the user's, like the command line
    if (e.kind() != Error::Kind::data) throw;
    fail(Error::Kind::usage, {e.what()});
  }
  return config_from(j, path);
}

}  // namespace nacre
