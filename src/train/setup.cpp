#include "train/setup.h"

#include <cmath>

#include "base/log.h"
#include "base/signals.h"

namespace nacre {
namespace {

constexpr int64_t kStatisticsSamples = 2000;

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

std::string image_transform(const ModelEntry& entry, const TrainConfig& config, const Dataset& data,
                            const Sample& first, int64_t channels) {
  std::string spec;
  const auto add = [&](const std::string& step) { spec += (spec.empty() ? "" : "|") + step; };
  if (first.image.channels != channels) add("to_channels(" + std::to_string(channels) + ")");
  if (entry.input.rank() == 3) {
    const int64_t side = entry.input[2];
    if (first.image.width != side || first.image.height != entry.input[1]) {
      const bool margin = first.image.width < side && side - first.image.width <= 4 &&
                          first.image.width == first.image.height &&
                          (side - first.image.width) % 2 == 0;
      add(margin ? "pad(" + std::to_string((side - first.image.width) / 2) + ")"
                 : "resize(" + std::to_string(side) + ")");
    }
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

}  // namespace

void prepare_splits(DataSplits& data, const TrainConfig& config) {
  if (!data.train || data.train->size() == 0)
    fail(Error::Kind::data, {"the data hold no training samples"});
  if (config.on_error == "skip")
    for (DatasetPtr* part : {&data.train, &data.val, &data.test}) leave_out_unreadable(*part);
  const Key key = Key(static_cast<uint64_t>(config.seed)).fold_in("split");
  const auto divide = [&](DatasetPtr& part, double share, const char* name) {
    if (share <= 0 || share >= 1)
      fail(Error::Kind::usage, {name, " should lie between 0 and 1, got ", share});
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
  const int64_t n = data.train->size(), step = std::max<int64_t>(1, n / 256);
  for (int64_t i = 0; i < n; i += step)
    h = Key(h ^ data.train->content_hash(i)).fold_in(static_cast<uint64_t>(i)).value();
  return h;
}

Setup fit_to_data(const ModelEntry& entry, const TrainConfig& config, const DataSplits& data) {
  Setup s;
  s.options = config.options;
  Sample first = data.train->get(0);
  const bool image = !first.image.empty();
  if (!image && first.features.empty())
    fail(Error::Kind::unsupported, {"the data hold neither pictures nor rows of numbers; training "
                                    "on texts and sound is not built yet"});
  int64_t channels = image ? first.image.channels : 0;
  if (channels == 2 || channels == 4) --channels;  // transparency is left out
  if (image && has_option(s.options, "channels")) {
    const auto at = (" " + s.options).find(" channels=");
    channels = std::atoll(s.options.c_str() + at + 9);
  }
  std::string spec = config.transform;
  if (spec == "auto")
    spec = image ? image_transform(entry, config, *data.train, first, channels)
                 : fit_scaler(Scaler::Kind::z_score, *data.train).step();
  s.transform = Transform::parse(spec);
  s.transform.apply(first, false, Key(0));
  if (image) {
    s.input = {first.image.channels, first.image.height, first.image.width};
    add_option(s.options, entry, "channels", first.image.channels);
    add_option(s.options, entry, "in", s.input.numel());
  } else {
    s.input = {static_cast<int64_t>(first.features.size())};
    add_option(s.options, entry, "in", s.input[0]);
  }
  const auto classes = static_cast<int64_t>(data.train->classes().size());
  const bool regression = classes == 0;
  const int64_t out = regression ? static_cast<int64_t>(first.target.size()) : classes;
  add_option(s.options, entry, "classes", out);
  add_option(s.options, entry, "out", out);
  if (const TableSchema* schema = table_schema(*data.train)) s.extra["table"] = schema->to_json();
  s.options = model_options(entry.name, s.options);
  check_outputs(data, s.options, out);
  return s;
}

Scope scope_from(const std::string& path, const Key& key, int64_t* taken) {
  const Scope::Source source = safetensors_source(path);
  return Scope::load(
      [source, path, taken](const std::string& name, const Shape& shape, DType dtype) {
        Tensor t = source(name, shape, dtype);
        if (t.defined() && t.shape() != shape) {
          log_info({name, " of ", path, " has shape ", t.shape(), ", the model wants ", shape,
                    ": it starts fresh"});
          return Tensor();
        }
        *taken += t.defined();
        return t;
      },
      false, key.fold_in("init"));
}

}  // namespace nacre
