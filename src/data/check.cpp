#include <algorithm>
#include <climits>
#include <cmath>
#include <map>
#include <unordered_map>

#include "base/signals.h"
#include "base/text.h"
#include "nacre/data.h"
#include "nacre/error.h"
#include "nacre/screening.h"

namespace nacre {
namespace {

constexpr size_t kExamples = 10;
constexpr double kImbalance = 10;

struct Report {
  std::vector<Finding> findings;

  /// Counts one more case of a kind of finding of a part.
  void add(Finding::Level level, const std::string& code, const std::string& text,
           const std::string& example) {
    auto found = std::find_if(findings.begin(), findings.end(),
                              [&](const Finding& f) { return f.code == code && f.text == text; });
    if (found == findings.end())
      found = findings.insert(findings.end(), Finding{level, code, text, 0, {}});
    ++found->count;
    if (found->examples.size() < kExamples && !example.empty()) found->examples.push_back(example);
  }
};

struct CheckedPart {
  std::string name;
  const Dataset* data;
};

/// The sizes and channels of pictures.
struct Sizes {
  std::map<int, std::pair<int64_t, std::string>> channels;  ///< pictures, name of the first
  int low[2] = {INT_MAX, INT_MAX}, high[2] = {0, 0};
  std::string smallest, largest;
  void add(const Image& image, const std::string& name) {
    auto& [count, first] = channels[image.channels];
    if (count++ == 0) first = name;
    const int sides[2] = {image.width, image.height};
    for (int k = 0; k < 2; ++k) {
      if (sides[k] < low[k]) low[k] = sides[k], smallest = name;
      if (sides[k] > high[k]) high[k] = sides[k], largest = name;
    }
  }
  void finish(const std::string& part, Report& report) const {
    if (channels.size() > 1) {
      std::string text;
      for (const auto& [n, seen] : channels)
        text += cat(
            {text.empty() ? "" : ", ", seen.first, " of ", n, n == 1 ? " channel" : " channels"});
      for (const auto& [n, seen] : channels)
        report.add(Finding::Level::note, "mixed_channels", cat({part, ": pictures differ: ", text}),
                   seen.second);
    }
    if (low[0] < high[0] || low[1] < high[1])
      for (const std::string& name : {smallest, largest})
        report.add(Finding::Level::note, "mixed_sizes",
                   cat({part, ": pictures are ", low[0], " to ", high[0], " pixels wide and ",
                        low[1], " to ", high[1], " high"}),
                   name);
  }
};

/// The rates and lengths of clips.
struct Clips {
  std::map<int, std::pair<int64_t, std::string>> rates;  ///< clips, name of the first
  double low = 0, high = 0;                              ///< seconds
  std::string shortest, longest;
  void add(const Sample& s, const std::string& name) {
    auto& [count, first] = rates[s.audio_rate];
    if (count++ == 0) first = name;
    const double seconds = static_cast<double>(s.audio.size()) / s.audio_rate;
    if (shortest.empty() || seconds < low) low = seconds, shortest = name;
    if (longest.empty() || seconds > high) high = seconds, longest = name;
  }
  void finish(const std::string& part, Report& report) const {
    if (rates.size() > 1) {
      std::string text;
      for (const auto& [rate, seen] : rates)
        text += cat({text.empty() ? "" : ", ", seen.first, " of ", rate, " Hz"});
      for (const auto& [rate, seen] : rates)
        report.add(Finding::Level::note, "mixed_rates", cat({part, ": clips differ: ", text}),
                   seen.second);
    }
    if (low < high)
      for (const std::string& name : {shortest, longest})
        report.add(Finding::Level::note, "mixed_lengths",
                   cat({part, ": clips are ", format_number(low, 3), " to ", format_number(high, 3),
                        " seconds long"}),
                   name);
  }
};

/// Reads all samples of a part; counts labels.
std::vector<int64_t> read_all(const CheckedPart& part, Report& report) {
  const Dataset& data = *part.data;
  const auto classes = static_cast<int64_t>(data.classes().size());
  std::vector<int64_t> counts(data.classes().size(), 0);
  Sizes sizes;
  Clips clips;
  std::vector<bool> filled;  // columns that have a value
  for (int64_t i = 0; i < data.size(); ++i) {
    check_stop();
    const int64_t label = data.label(i);
    if (label >= 0 && label < classes)
      ++counts[static_cast<size_t>(label)];
    else if (classes > 0)
      report.add(label < 0 ? Finding::Level::warning : Finding::Level::error, "label_range",
                 cat({part.name, ": samples without a label of 0..", classes - 1}), data.name(i));
    try {
      const Sample s = data.get(i);
      const auto missing = [](const std::vector<float>& v) {
        return std::any_of(v.begin(), v.end(), [](float x) { return std::isnan(x); });
      };
      if (!s.image.empty()) sizes.add(s.image, data.name(i));
      if (!s.audio.empty()) clips.add(s, data.name(i));
      if (!s.audio.empty() &&
          std::all_of(s.audio.begin(), s.audio.end(), [&](float v) { return v == s.audio[0]; }))
        report.add(Finding::Level::warning, "silent", part.name + ": clips without a sound",
                   data.name(i));
      if (filled.size() < s.features.size()) filled.resize(s.features.size(), false);
      for (size_t k = 0; k < s.features.size(); ++k)
        if (!std::isnan(s.features[k])) filled[k] = true;
      if (missing(s.features))
        report.add(Finding::Level::note, "missing_values",
                   part.name + ": rows with missing numbers; training puts the mean there",
                   data.name(i));
      if (missing(s.target))
        report.add(Finding::Level::error, "missing_values",
                   part.name + ": rows whose value to predict is missing", data.name(i));
    } catch (const Error& e) {
      report.add(Finding::Level::error, "unreadable", part.name + ": samples that cannot be read",
                 e.what());
    }
  }
  sizes.finish(part.name, report);
  clips.finish(part.name, report);
  if (const TableSchema* schema = data.schema()) {
    const auto names = schema->feature_names();
    for (size_t k = 0; k < filled.size() && k < names.size(); ++k)
      if (!filled[k])
        report.add(Finding::Level::warning, "empty_column",
                   part.name + ": columns without a value in any row", names[k]);
  }
  return counts;
}

void check_classes(const CheckedPart& part, const std::vector<int64_t>& counts, Report& report) {
  const auto& names = part.data->classes();
  if (names.size() == 1)
    report.add(Finding::Level::error, "one_class",
               part.name + ": there is only one class, nothing can be told apart", names[0]);
  int64_t most = 0, least = 0;
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0)
      report.add(Finding::Level::error, "empty_class", part.name + ": classes without samples",
                 names[c]);
    most = std::max(most, counts[c]);
    if (counts[c] > 0) least = least == 0 ? counts[c] : std::min(least, counts[c]);
  }
  if (least > 0 && static_cast<double>(most) >= kImbalance * static_cast<double>(least))
    report.add(Finding::Level::warning, "imbalance",
               cat({part.name, ": the largest class has ", most, " samples, the smallest ", least}),
               "");
}

/// Rows of a table whose numbers lie apart from all others.
void check_outliers(const CheckedPart& part, Report& report) {
  constexpr double kApart = 0.7;  // of an isolation forest; clean tables have none
  const TableSchema* schema = part.data->schema();
  if (!schema || part.data->size() < 50 || part.data->size() > 100000 || schema->features() > 200)
    return;
  std::vector<size_t> places;  // of numbers among the features
  size_t at = 0;
  for (size_t c = 0; c < schema->columns.size(); ++c) {
    if (static_cast<int>(c) == schema->target) continue;
    const TableColumn& column = schema->columns[c];
    if (column.kind == TableColumn::Kind::number) places.push_back(at);
    at += column.kind == TableColumn::Kind::number ? 1 : column.categories.size();
  }
  if (places.empty()) return;
  std::vector<float> x;
  for (int64_t i = 0; i < part.data->size(); ++i) {
    const Sample s = part.data->get(i);
    if (s.features.size() != at) return;  // pictures
    for (const size_t place : places) x.push_back(s.features[place]);
  }
  const auto scores = isolation_scores(x, static_cast<int64_t>(places.size()));
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > kApart)
      report.add(Finding::Level::note, "outlier",
                 part.name + ": rows that lie far from all others; look whether they are mistakes",
                 part.data->name(static_cast<int64_t>(i)));
}

/// Equal contents in different parts, and with different labels.
void check_duplicates(const std::vector<CheckedPart>& parts, Report& report) {
  struct Place {
    size_t part;
    int64_t index;
  };
  std::unordered_map<uint64_t, Place> seen;
  for (size_t p = 0; p < parts.size(); ++p)
    for (int64_t i = 0; i < parts[p].data->size(); ++i) {
      check_stop();
      uint64_t hash = 0;
      try {
        hash = parts[p].data->content_hash(i);
      } catch (const Error&) {
        continue;  // reported as unreadable
      }
      const auto [found, fresh] = seen.try_emplace(hash, Place{p, i});
      if (fresh) continue;
      const auto [q, j] = found->second;
      const std::string pair = parts[q].data->name(j) + " = " + parts[p].data->name(i);
      if (q != p)
        report.add(Finding::Level::warning, "duplicate",
                   cat({"the same samples in ", parts[q].name, " and ", parts[p].name}), pair);
      if (parts[q].data->label(j) != parts[p].data->label(i))
        report.add(Finding::Level::warning, "conflict", "the same samples with different labels",
                   pair);
    }
}

}  // namespace

std::vector<Finding> check_dataset(const DataSplits& data) {
  Report report;
  std::vector<CheckedPart> parts;
  if (data.train) parts.push_back({"train", data.train.get()});
  if (data.val) parts.push_back({"val", data.val.get()});
  if (data.test) parts.push_back({"test", data.test.get()});
  for (const CheckedPart& part : parts) {
    if (part.data->size() == 0) {
      report.add(Finding::Level::error, "empty", part.name + ": there are no samples", "");
      continue;
    }
    const auto counts = read_all(part, report);
    if (part.name == "train") check_classes(part, counts, report);
    if (part.name == "train") check_outliers(part, report);
    for (size_t c = 0; c < counts.size(); ++c)
      if (part.name != "train" && counts[c] == 0)
        report.add(Finding::Level::warning, "no_test_class",
                   part.name + ": classes without samples", part.data->classes()[c]);
    if (const std::string remark = part.data->remark(); !remark.empty())
      report.add(Finding::Level::note, "size", part.name + ": " + remark, "");
  }
  check_duplicates(parts, report);
  for (const std::string& path : data.ignored)
    report.add(Finding::Level::note, "ignored", "files and folders left aside", path);
  return report.findings;
}

}  // namespace nacre
