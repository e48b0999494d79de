// Weights of samples by a classifier that tells two data sets apart.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "base/file.h"
#include "base/text.h"
#include "nacre/train.h"
#include "nacre/transfer.h"

namespace nacre {
namespace {

constexpr uint64_t kLargestFile = uint64_t{1} << 30;

/// Makes the mean 1. Throws Error(data) if all are 0.
template <typename T>
void scale_to_mean_one(std::vector<T>& weights, const std::string& what) {
  double sum = 0;
  for (const T w : weights) sum += static_cast<double>(w);
  if (!(sum > 0) || !std::isfinite(sum))
    fail(Error::Kind::data, {what, " holds no weight above 0 for any training sample"});
  const double factor = static_cast<double>(weights.size()) / sum;
  for (T& w : weights) w = static_cast<T>(static_cast<double>(w) * factor);
}

}  // namespace

std::vector<double> importance_weights(const DatasetPtr& source, const DatasetPtr& target,
                                       const ImportanceOptions& o) {
  if (o.folds < 2 || o.most < 1)
    fail(Error::Kind::usage, {"importance weights need at least 2 folds and a largest weight of at "
                              "least 1, got ",
                              o.folds, " and ", o.most});
  if (!source || !target || source->size() < o.folds || target->size() < o.folds)
    fail(Error::Kind::data,
         {"importance weights need at least ", o.folds, " samples of each data set, got ",
          source ? source->size() : 0, " and ", target ? target->size() : 0});
  std::vector<Sample> samples;
  for (const bool of_target : {false, true}) {
    const Dataset& data = of_target ? *target : *source;
    for (int64_t i = 0; i < data.size(); ++i) {
      samples.push_back(data.get(i));
      samples.back().label = of_target;
      samples.back().target.clear();
    }
  }
  const DatasetPtr all = from_samples(std::move(samples), {"source", "target"});
  const std::vector<double> shares(static_cast<size_t>(o.folds),
                                   1.0 / static_cast<double>(o.folds));
  const auto folds = split_stratified(labels_of(*all), shares, Key(o.seed).fold_in("folds"));
  std::vector<double> weights(static_cast<size_t>(source->size()));
  for (const Indices& held_out : folds) {
    Indices rest;
    for (const Indices& fold : folds)
      if (&fold != &held_out) rest.insert(rest.end(), fold.begin(), fold.end());
    DataSplits d;
    d.train = subset(all, rest);
    d.test = subset(all, held_out);
    TrainConfig c = TrainConfig::for_model(o.model);
    c.model = o.model;
    c.epochs = o.epochs;
    c.lr = o.lr;
    c.weight_decay = 0;
    c.val_share = c.test_share = 0;
    c.seed = static_cast<int64_t>(o.seed);
    c.workers = 0;
    const Evaluation e = Trainer(c, d).run();
    for (size_t i = 0; i < held_out.size(); ++i) {
      if (held_out[i] >= source->size()) continue;
      const double p = std::clamp(static_cast<double>(e.scores[2 * i + 1]), 1e-6, 1 - 1e-6);
      weights[static_cast<size_t>(held_out[i])] = p / (1 - p);
    }
  }
  scale_to_mean_one(weights, "the source");
  for (double& w : weights) w = std::min(w, o.most);
  scale_to_mean_one(weights, "the source");
  return weights;
}

void write_sample_weights(const std::string& path, const Dataset& data,
                          const std::vector<double>& weights) {
  if (static_cast<int64_t>(weights.size()) != data.size())
    fail(Error::Kind::usage, {weights.size(), " weights for ", data.size(), " samples"});
  std::string text = "name,weight\n";
  for (int64_t i = 0; i < data.size(); ++i)
    text += cat({data.name(i), ",", weights[static_cast<size_t>(i)], "\n"});
  write_file_atomic(path, text);
}

std::vector<float> read_sample_weights(const std::string& path, const Dataset& data) {
  const std::string text = read_file(path, kLargestFile);
  std::unordered_map<std::string_view, double> by_name;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    at = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || (number == 1 && line == "name,weight")) continue;
    const size_t comma = line.rfind(',');
    double w = 0;
    if (comma != std::string_view::npos) {
      const char* from = line.data() + comma + 1;
      const auto [stop, error] = std::from_chars(from, line.data() + line.size(), w);
      if (error != std::errc() || stop != line.data() + line.size()) w = -1;
    }
    if (comma == std::string_view::npos || !(w >= 0) || !std::isfinite(w))
      fail(Error::Kind::data,
           {path, " line ", number,
            " should be a sample's name, a comma and a weight of at least 0, got '",
            clip(printable(line), 80), "'"});
    by_name[line.substr(0, comma)] = w;
  }
  std::vector<float> weights;
  for (int64_t i = 0; i < data.size(); ++i) {
    const std::string name = data.name(i);
    const auto found = by_name.find(name);
    if (found == by_name.end())
      fail(Error::Kind::data, {path, " has no weight of the training sample '", name, "'"});
    weights.push_back(static_cast<float>(found->second));
  }
  scale_to_mean_one(weights, path);
  return weights;
}

}  // namespace nacre
