#include "train/setup.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/yaml.h"
#include "nacre/screening.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr int64_t kStatisticsSamples = 2000, kLooked = 64;
constexpr int kHighestRate = 16000;  // of clips; speech has little above its half
constexpr int64_t kLongest = 10;     // seconds of a clip
constexpr int64_t kColumns = 256;    // of a spectrogram, at most

bool has_option(const std::string& options, const std::string& name) {
  return (" " + options).find(" " + name + "=") != std::string::npos;
}

/// Adds name=value unless the user chose one or the model has no such option.
void add_option(std::string& options, const ModelEntry& entry, const std::string& name,
                int64_t value) {
  const std::string all = model_options(entry.name);
  const std::string user = options;
  if (!has_option(all, name) || has_option(user, name)) return;
  options += (options.empty() ? "" : " ") + name + "=" + std::to_string(value);
}

std::string number(double v) { return Piece(v).text(); }

struct Statistics {
  double mean = 0, std = 1;
};

/// Of all pixels, after the steps before normalisation.
Statistics pixel_statistics(const Dataset& data, const Transform& before, uint64_t seed) {
  Indices order = shuffled(data.size())->order(Key(seed), 0);
  order.resize(static_cast<size_t>(std::min<int64_t>(kStatisticsSamples, data.size())));
  double sum = 0, squares = 0, n = 0;
  for (int64_t i : order) {
    Sample s = data.get(i);
    before.apply(s, false, Key(0));
    for (float v : s.image.pixels) {
      sum += v;
      squares += static_cast<double>(v) * v;
    }
    n += static_cast<double>(s.image.pixels.size());
  }
  if (n == 0) return {};
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(1e-12, squares / n - mean * mean))};
}

/// Pictures or clips of all parts of the data: those of a folder differ.
std::vector<Sample> some_samples(const Dataset& data) {
  std::vector<Sample> list;
  const int64_t n = std::min(kLooked, data.size());
  for (int64_t i = 0; i < n; ++i) list.push_back(data.get(i * data.size() / n));
  return list;
}

/// What the model has, if it has no choice; else 3 if any picture has colours. Transparency is left
/// out.
int64_t channels_for(const ModelEntry& entry, const std::string& options,
                     const std::vector<Sample>& samples) {
  if (has_option(options, "channels"))
    return std::atoll(options.c_str() + (" " + options).find(" channels=") + 9);
  if (entry.input.rank() == 3 && !has_option(model_options(entry.name), "channels"))
    return entry.input[0];
  const bool colour = std::any_of(samples.begin(), samples.end(),
                                  [](const Sample& s) { return s.image.channels >= 3; });
  return colour ? 3 : 1;
}

/// What makes a picture of a clip: one rate and length for all, and a column every 10 ms or, of
/// long ones, up to 256.
std::string clip_transform(const std::vector<Sample>& samples) {
  std::map<int, int64_t> rates;
  double seconds = 0;
  for (const Sample& s : samples) {
    if (s.audio.empty()) continue;
    ++rates[s.audio_rate];
    seconds = std::max(seconds, static_cast<double>(s.audio.size()) / s.audio_rate);
  }
  const int usual = std::max_element(rates.begin(), rates.end(), [](auto& a, auto& b) {
                      return a.second < b.second;
                    })->first;
  const int rate = std::min(usual, kHighestRate);
  const auto length = static_cast<int64_t>(std::ceil(std::min<double>(seconds, kLongest) * rate));
  int64_t window = 16;  // up to 32 ms
  while (2 * window * 1000 <= int64_t{32} * rate && window < 512) window *= 2;
  const int64_t hop = std::max<int64_t>({1, rate / 100, (length + kColumns - 1) / kColumns});
  return cat({"audio_rate(", rate, ")|audio_length(", length, ")|log_mel(window=", window,
              ",hop=", hop, ")"});
}

/// Channels and size are always set, so that the model takes pictures unlike the training part's.
/// `spec` is what comes before.
std::string image_transform(const ModelEntry& entry, const TrainConfig& config, const Dataset& data,
                            const std::vector<Sample>& samples, int64_t channels,
                            std::string spec) {
  const auto add = [&](const std::string& step) { spec += (spec.empty() ? "" : "|") + step; };
  const auto resize = [&](int64_t width, int64_t height) {
    add(cat({"resize(", width, width == height ? "" : cat({",", height}), ")"}));
  };
  const int width = samples[0].image.width, height = samples[0].image.height;
  add(cat({"to_channels(", channels, ")"}));
  if (entry.input.rank() == 3) {
    const int64_t side = entry.input[2];
    const bool equal = std::all_of(samples.begin(), samples.end(), [&](const Sample& s) {
      return s.image.width == width && s.image.height == height;
    });
    const bool margin =
        equal && width < side && side - width <= 4 && width == height && (side - width) % 2 == 0;
    resize(margin ? width : side, margin ? height : entry.input[1]);
    if (margin) add(cat({"pad(", (side - width) / 2, ")"}));
  } else {
    resize(width, height);
  }
  const Statistics s =
      pixel_statistics(data, Transform::parse(spec), static_cast<uint64_t>(config.seed));
  add("normalize(mean=" + number(s.mean) + ",std=" + number(s.std) + ")");
  return spec;
}

void leave_out_unreadable(DatasetPtr& part) {
  if (!part) return;
  Indices kept;
  std::string first;
  for (int64_t i = 0; i < part->size(); ++i) {
    check_stop();
    try {
      (void)part->get(i);
      kept.push_back(i);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::data && e.kind() != Error::Kind::io) throw;
      if (first.empty()) first = e.what();
    }
  }
  const int64_t lost = part->size() - static_cast<int64_t>(kept.size());
  if (lost == 0) return;
  log_warning({lost, " of ", part->size(), " samples are left out, the first because: ", first});
  if (kept.empty()) fail(Error::Kind::data, {"no sample can be read: ", first});
  part = subset(part, kept);
}

/// What would otherwise show only in the first validation: all parts have the same classes, and the
/// model as many outputs.
void check_outputs(const DataSplits& data, const std::string& options, int64_t outputs) {
  const auto& classes = data.train->classes();
  for (const auto& [name, part] : {std::pair{"validation", data.val}, {"test", data.test}})
    if (part && part->classes() != classes)
      fail(Error::Kind::data,
           {"the ", name, " part has ", part->classes().size(), " classes, the training part ",
            classes.size(), ", or they are named differently"});
  for (const std::string name : {"classes", "out"}) {
    const auto at = (" " + options).find(" " + name + "=");
    if (at == std::string::npos) continue;
    const int64_t chosen = std::atoll(options.c_str() + at + name.size() + 1);
    if (chosen != outputs)
      fail(Error::Kind::usage, {"option ", name, " of the model is ", chosen, ", the data have ",
                                outputs, classes.empty() ? " values to predict" : " classes"});
  }
}

/// A scaler of the features after some steps.
Scaler scaler_of(const Dataset& data, const Transform& before) {
  Scaler scaler(Scaler::Kind::z_score);
  for (int64_t i = 0; i < data.size(); ++i) {
    Sample s = data.get(i);
    before.apply(s, false, Key(0));
    scaler.fit(std::vector<double>(s.features.begin(), s.features.end()),
               static_cast<int64_t>(s.features.size()));
  }
  return scaler;
}

/// Columns that say nothing are left out if asked. Missing numbers become the mean, which is 0
/// after standardising; a text becomes what counts in it, and counts of words are weighed alike.
std::string row_transform(const ModelEntry& entry, const Dataset& data, const Sample& first,
                          bool selected) {
  std::string spec = selected ? fit_columns(data) : "";
  if (const std::string counts = fit_counts(data, Transform::parse(spec)); !counts.empty())
    return spec + (spec.empty() ? "" : "|") + counts;
  if (!first.features.empty() && !entry.missing) {
    const Scaler scaler = scaler_of(data, Transform::parse(spec));
    std::string means;
    for (const double v : scaler.fitted().offset) means += (means.empty() ? "" : ",") + number(v);
    spec += (selected ? "|impute([" : "impute([") + means + "])|" + scaler.step();
  }
  const TableSchema* schema = data.schema();
  if (schema ? schema->has_text() : !first.text.empty())
    spec += (spec.empty() ? "" : "|") + fit_text(data);
  return spec;
}

}  // namespace

std::string clip_steps(const Dataset& train) { return clip_transform(some_samples(train)); }

void leave_out_unlabelled(DatasetPtr& part) {
  const TableSchema* schema = part ? part->schema() : nullptr;
  if (!schema || schema->target < 0) return;
  Indices kept;
  for (int64_t i = 0; i < part->size(); ++i)
    if (schema->regression ? !std::isnan(part->get(i).target[0]) : part->label(i) >= 0)
      kept.push_back(i);
  const int64_t left = part->size() - static_cast<int64_t>(kept.size());
  if (left == 0) return;
  log_warning({left, left == 1 ? " row is" : " rows are", " left out: no value of '",
               schema->columns[static_cast<size_t>(schema->target)].name, "'"});
  part = subset(part, std::move(kept));
}

void check_labels(const Dataset& data) {
  const auto classes = static_cast<int64_t>(data.classes().size());
  for (int64_t i = 0; i < data.size() && classes > 0; ++i) {
    const int64_t label = data.label(i);
    if (label < 0 || label >= classes)
      fail(Error::Kind::data,
           {data.name(i), label < 0 ? " has no class" : cat({" has the class ", label}), ", the ",
            classes, " classes are 0 to ", classes - 1});
  }
}

/// Training samples of each class.
static std::vector<int64_t> class_sizes(const Dataset& data) {
  std::vector<int64_t> count(data.classes().size(), 0);
  for (int64_t i = 0; i < data.size() && !count.empty(); ++i)
    ++count[static_cast<size_t>(data.label(i))];
  return count;
}

/// Nothing can be told apart where all samples are of one class.
static void check_number_of_classes(const Dataset& data) {
  if (data.classes().empty()) return;
  const auto count = class_sizes(data);
  const auto largest = std::max_element(count.begin(), count.end());
  if (*largest == data.size())
    fail(Error::Kind::data, {"all ", data.size(), " training samples are of the class '",
                             data.classes()[static_cast<size_t>(largest - count.begin())],
                             "'; a model that tells classes apart needs at least two"});
}

/// Nor is there anything to learn where all samples have one value.
static void check_values_differ(const Dataset& data) {
  const TableSchema* schema = data.schema();
  if (!schema || !schema->regression || data.size() < 2) return;
  const float first = data.get(0).target[0];
  for (int64_t i = 1; i < data.size(); ++i)
    if (data.get(i).target[0] != first) return;
  fail(Error::Kind::data, {"all ", data.size(), " training samples have the value ", first, " in '",
                           schema->columns[static_cast<size_t>(schema->target)].name,
                           "'; there is nothing to predict"});
}

static void warn_of_empty_classes(const Dataset& data) {
  const auto count = class_sizes(data);
  const auto none = std::find(count.begin(), count.end(), 0);
  if (none == count.end()) return;
  const auto others = std::count(count.begin(), count.end(), 0) - 1;
  log_warning({"no training sample is of the class '",
               data.classes()[static_cast<size_t>(none - count.begin())], "'",
               others ? cat({" and of ", others, " others"}) : ""});
}

void prepare_splits(DataSplits& data, const TrainConfig& config) {
  for (DatasetPtr* part : {&data.train, &data.val, &data.test}) {
    if (const std::string remark = *part ? (*part)->remark() : "";
        (*part) && (*part)->schema() && !remark.empty())
      log_warning({remark});
    leave_out_unlabelled(*part);
  }
  if (!data.train || data.train->size() == 0)
    fail(Error::Kind::data, {"the data hold no training samples"});
  if (config.on_error == "skip")
    for (DatasetPtr* part : {&data.train, &data.val, &data.test}) leave_out_unreadable(*part);
  for (const DatasetPtr& part : {data.train, data.val, data.test})
    if (part) check_labels(*part);
  check_number_of_classes(*data.train);
  check_values_differ(*data.train);
  const Key key = Key(static_cast<uint64_t>(config.seed)).fold_in("split");
  const auto divide = [&](DatasetPtr& part, double share, const char* name) {
    if (share == 0) return;
    if (share < 0 || share >= 1)
      fail(Error::Kind::usage, {name, " should be at least 0 and below 1, got ", share});
    const std::vector<double> shares = {1 - share, share};
    const auto lists = data.train->classes().empty()
                           ? split_random(data.train->size(), shares, key.fold_in(name))
                           : split_stratified(labels_of(*data.train), shares, key.fold_in(name));
    if (lists[0].empty() || lists[1].empty())
      fail(Error::Kind::data, {"too few samples (", data.train->size(), ") to split off ", name});
    part = subset(data.train, lists[1]);
    data.train = subset(data.train, lists[0]);
  };
  if (!data.test) divide(data.test, config.test_share, "test_share");
  if (!data.val) divide(data.val, config.val_share, "val_share");
}

uint64_t data_fingerprint(const DataSplits& data) {
  uint64_t h = static_cast<uint64_t>(data.train->size());
  for (const std::string& name : data.train->classes()) h = hash64(name, h);
  for (const DatasetPtr& part : {data.train, data.val, data.test})
    for (int64_t i = 0; part && i < part->size(); ++i)
      h = Key(h).fold_in(static_cast<uint64_t>(part->label(i) + 1)).value();
  const int64_t n = data.train->size(), step = std::max<int64_t>(1, n / 256);
  for (int64_t i = 0; i < n; i += step)
    h = Key(h ^ data.train->content_hash(i)).fold_in(static_cast<uint64_t>(i)).value();
  return h;
}

OpenOptions open_options(const TrainConfig& config) {
  OpenOptions o;
  o.csv.target = config.target;
  o.csv.task = config.task == "classes"  ? Task::classification
               : config.task == "values" ? Task::regression
                                         : Task::automatic;
  return o;
}

std::string split_text(const DataSplits& data, const TrainConfig& config) {
  if (data.test || !data.train || data.train->size() == 0) return "";
  Json j = Json::object();
  j["data"] = std::to_string(data_fingerprint(data));
  j["seed"] = config.seed;
  j["test_share"] = config.test_share;
  j["val_share"] = config.val_share;
  j["on_error"] = config.on_error;
  return print_json(j);
}

bool split_again(DataSplits& data, const std::string& text) {
  if (data.test || !data.train || data.train->size() == 0) return false;
  const Json j = parse_json(text, "the split of a model file");
  if (j.at("data").text() != std::to_string(data_fingerprint(data))) return false;
  TrainConfig config;
  config.seed = j.at("seed").integer();
  config.test_share = j.at("test_share").number();
  config.val_share = j.at("val_share").number();
  config.on_error = j.at("on_error").text();
  prepare_splits(data, config);
  return true;
}

void write_card(ModelInfo& info, const std::string& data, int64_t seed, const std::string& part,
                double score) {
  info.extra["data"] = std::filesystem::path(data + "/").parent_path().filename();
  info.extra["seed"] = std::to_string(seed);
  info.extra["part"] = part;
  info.extra["score"] = Piece(score).text();
}

std::string settings_without_use(const TrainConfig& config, const ModelEntry& entry,
                                 bool regression) {
  const Json now = parse_yaml(config.to_yaml(), "settings"),
             usual = parse_yaml(TrainConfig::for_model(entry.name).to_yaml(), "settings");
  std::string list;
  const auto unused = [&](const char* name) {
    if (print_json(now.at(name)) != print_json(usual.at(name)))
      list += (list.empty() ? "" : ", ") + std::string(name);
  };
  if (entry.fit) {
    for (const char* name : {"epochs",
                             "batch",
                             "loss",
                             "optimizer",
                             "lr",
                             "weight_decay",
                             "momentum",
                             "schedule",
                             "label_smoothing",
                             "l1",
                             "l2",
                             "clip_norm",
                             "accumulate",
                             "ema",
                             "sampler",
                             "patience",
                             "checkpoint_every",
                             "lr_scale",
                             "layer_decay",
                             "precision"})
      unused(name);
    return list.empty() ? ""
                        : cat({config.model, " is fitted at once, so these settings have no ",
                               "effect: ", list});
  }
  const std::string& o = config.optimizer;
  if (o != "momentum" && o != "nesterov" && o != "lars") unused("momentum");
  if (regression)
    for (const char* name : {"sampler", "class_weights"}) unused(name);
  return list.empty() ? ""
                      : cat({"with the optimizer ", config.optimizer, regression ? " and " : "",
                             regression ? "values to predict" : "", " these settings have no ",
                             "effect: ", list});
}

Setup fit_to_data(const ModelEntry& entry, const TrainConfig& config, const DataSplits& data) {
  Setup s;
  s.options = config.options;
  Sample first = data.train->get(0);
  const bool clip = !first.audio.empty(), image = clip || !first.image.empty();
  const TableSchema* columns = data.train->schema();
  const bool text = columns ? columns->has_text() : !first.text.empty();
  if (!image && first.features.empty() && !text)
    fail(Error::Kind::data,
         {"the data hold neither pictures nor clips nor columns nor texts to learn from"});
  std::string spec = config.transform;
  if (spec == "auto" && image) {
    std::vector<Sample> samples = some_samples(*data.train);
    const std::string before = clip ? clip_transform(samples) : "";
    for (Sample& sample : samples) Transform::parse(before).apply(sample, false, Key(0));
    spec = image_transform(entry, config, *data.train, samples,
                           channels_for(entry, s.options, samples), before);
  } else if (spec == "auto" || spec == "selected") {
    if (spec == "selected" && first.features.empty())
      fail(Error::Kind::usage, {"the transform selected chooses among the columns of a table, and "
                                "the data have none"});
    spec = row_transform(entry, *data.train, first, spec == "selected");
  }
  s.transform = Transform::parse(spec);
  s.transform.apply(first, false, Key(0));
  if (image && first.image.empty())
    fail(Error::Kind::usage, {"the transform '", spec,
                              "' leaves a clip of sound; the step log_mel makes a picture of it, "
                              "as the transform auto does"});
  if (image) {
    s.input = {first.image.channels, first.image.height, first.image.width};
    add_option(s.options, entry, "channels", first.image.channels);
    add_option(s.options, entry, "in", s.input.numel());
  } else {
    s.input = {static_cast<int64_t>(first.features.size())};
    if (first.features.empty())
      fail(Error::Kind::usage, {"the transform '", spec,
                                "' leaves a text without numbers; the step "
                                "text_features makes some, as the transform auto does"});
    add_option(s.options, entry, "in", s.input[0]);
  }
  const auto classes = static_cast<int64_t>(data.train->classes().size());
  const bool regression = classes == 0;
  const int64_t out = regression ? static_cast<int64_t>(first.target.size()) : classes;
  if (out == 0) fail(Error::Kind::data, {"the data have neither classes nor values to predict"});
  add_option(s.options, entry, "classes", out);
  add_option(s.options, entry, "out", out);
  if (const TableSchema* schema = table_schema(*data.train)) s.extra["table"] = schema->to_json();
  s.options = model_options(entry.name, s.options);
  check_outputs(data, s.options, out);
  warn_of_empty_classes(*data.train);
  return s;
}

std::unique_ptr<Module> scaled_to_targets(const Scope& scope, std::unique_ptr<Module> net,
                                          const Dataset& data) {
  Scaler scaler(Scaler::Kind::z_score);
  for (int64_t i = 0; i < data.size(); ++i) {
    const Sample s = data.get(i);
    const std::vector<double> row(s.target.begin(), s.target.end());
    scaler.fit(row, static_cast<int64_t>(row.size()));
  }
  const auto tensor = [](const std::vector<double>& v) {
    return Tensor::from(std::vector<float>(v.begin(), v.end()), {static_cast<int64_t>(v.size())});
  };
  const Scaler::Fitted fitted = scaler.fitted();
  return rescaled(scope, std::move(net), tensor(fitted.offset), tensor(fitted.scale));
}

}  // namespace nacre
