#include "autodl/task.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "nacre/metrics.h"
#include "nacre/screening.h"
#include "nacre/zoo.h"
#include "train/setup.h"

namespace nacre {
namespace {

constexpr int64_t kLargestSide = 64, kLooked = 256, kFewest = 10;
constexpr const char* kPassed = ",pictures=pass)";
constexpr double kTestShare = 0.2, kMostLoss = 2;
constexpr int64_t kManyColumns = 10, kMostNumbers = 100000000;  // for a choice of columns

/// Pictures decoded once, or made of clips, as small as training wants them; names, labels and
/// hashes are those of the files.
class SmallPictures : public Dataset {
 public:
  SmallPictures(DatasetPtr whole, const Transform& head) : whole_(std::move(whole)) {
    classes_ = whole_->classes();
    for (int64_t i = 0; i < whole_->size(); ++i) {
      check_stop();
      Sample s = whole_->get(i);
      head.apply(s, false, Key(0));
      samples_.push_back(std::move(s));
    }
  }
  int64_t size() const override { return whole_->size(); }
  Sample get(int64_t i) const override {
    check(i);
    return samples_[static_cast<size_t>(i)];
  }
  int64_t label(int64_t i) const override { return whole_->label(i); }
  std::string name(int64_t i) const override { return whole_->name(i); }
  uint64_t content_hash(int64_t i) const override { return whole_->content_hash(i); }
  const TableSchema* schema() const override { return whole_->schema(); }

 private:
  DatasetPtr whole_;
  std::vector<Sample> samples_;
};

int64_t middle(std::vector<int64_t> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

/// Size, channels and statistics of the pictures; they are kept small in memory if that fits.
void look_at_pictures(FitTask& t, int64_t from_channels) {
  std::vector<int64_t> widths, heights;
  bool colour = false, equal = true;
  if (t.clips) {
    t.head = clip_steps(*t.pool);
    t.head.replace(t.head.size() - 1, 1, kPassed);
  }
  const Transform heard = Transform::parse(t.head);
  if (t.clips) t.head += "|";
  const int64_t n = std::min(kLooked, t.pool->size());
  for (int64_t i = 0; i < n; ++i) {
    Sample s = t.pool->get(i * t.pool->size() / n);
    heard.apply(s, false, Key(0));
    const Image& picture = s.image;
    widths.push_back(picture.width);
    heights.push_back(picture.height);
    colour = colour || picture.channels >= 3;
    equal = equal && widths[0] == picture.width && heights[0] == picture.height;
  }
  t.channels = colour || from_channels == 3 ? 3 : 1;
  t.side_width = middle(widths);
  t.side_height = middle(heights);
  if (!equal) t.side_width = t.side_height = std::min(t.side_width, t.side_height);
  const double shrink = static_cast<double>(kLargestSide) /
                        static_cast<double>(std::max(t.side_width, t.side_height));
  if (t.clips) {  // rows are pitches, columns are times: neither has to keep its share
    t.side_width = std::min(kLargestSide, t.side_width);
    t.side_height = std::min(kLargestSide, t.side_height);
  } else if (shrink < 1) {
    t.side_width = std::max<int64_t>(1, std::llround(shrink * static_cast<double>(t.side_width)));
    t.side_height = std::max<int64_t>(1, std::llround(shrink * static_cast<double>(t.side_height)));
  }
  t.head += cat({"to_channels(", t.channels, ")|resize(", t.side_width, ",", t.side_height, ")"});
  const Transform head = Transform::parse(t.head);
  const auto bytes = static_cast<size_t>(t.channels * t.side_width * t.side_height) *
                     sizeof(float) * static_cast<size_t>(t.pool->size());
  if (bytes < free_memory() / 4) t.pool = std::make_shared<SmallPictures>(t.pool, head);
  const auto measure = [&](const Transform& steps, double& mean) {
    double sum = 0, squares = 0, count = 0;
    for (int64_t i = 0; i < t.pool->size(); i += std::max<int64_t>(1, t.pool->size() / 2000)) {
      Sample s = t.pool->get(i);
      steps.apply(s, false, Key(0));
      for (float v : s.image.pixels) {
        sum += v;
        squares += static_cast<double>(v) * v;
      }
      count += static_cast<double>(s.image.pixels.size());
    }
    mean = sum / count;
    return std::sqrt(std::max(1e-8, squares / count - mean * mean));
  };
  double none = 0;
  t.std = measure(head, t.mean);
  t.detail = measure(head.then(Transform::parse("detail(2)")), none);
}

void look_at_rows(FitTask& t) {
  DataSplits whole;
  whole.train = t.pool;
  const TrainConfig usual = TrainConfig::for_model("linear");
  t.features = fit_to_data(find_model(usual.model), usual, whole).input[0];
}

void count_useless(FitTask& t) {
  const auto columns = static_cast<int64_t>(t.pool->get(0).features.size());
  if (columns < kManyColumns || t.train->size() * columns > kMostNumbers) return;
  t.useless = columns - static_cast<int64_t>(select_columns(*t.train).size());
  if (t.useless < columns / 10) t.useless = 0;
}

/// The model whose weights are tried as a start, if there is one.
ModelInfo start_of(const FitOptions& options, FitTask& t) {
  if (options.from.empty()) return {};
  if (!t.pictures())
    fail(Error::Kind::usage, {"--from is for pictures, ", options.data, " holds rows"});
  ModelInfo info = load_model(options.from).info;
  if (info.model == "ensemble")
    fail(Error::Kind::usage, {options.from,
                              " is an ensemble; a start is one network, such as one "
                              "of those in trials/ beside it"});
  if (find_model(info.model).fit || info.input.rank() != 3)
    fail(Error::Kind::usage,
         {options.from, " holds ", info.model, ", which is no network for pictures to start from"});
  t.from_model = info.model;
  t.from_height = info.input[1];
  t.from_width = info.input[2];
  std::stringstream all(info.options);
  for (std::string item; all >> item;)  // those of the data are set anew
    if (item.rfind("classes=", 0) != 0 && item.rfind("channels=", 0) != 0)
      t.from_options += (t.from_options.empty() ? "" : " ") + item;
  return info;
}

int folds_for(const FitTask& t) {
  const int64_t n = t.pool->size();
  if (t.pictures() || t.texts) return 1;
  return n <= 2500 ? 5 : n <= 6000 ? 3 : 1;
}

/// The target as numbers, of every sample.
std::vector<double> targets_of(const Dataset& data) {
  std::vector<double> list;
  for (int64_t i = 0; i < data.size(); ++i)
    list.push_back(data.classes().empty() ? data.get(i).target.at(0)
                                          : static_cast<double>(data.label(i)));
  return list;
}

/// Whether a column alone tells the class: sorted by it, the classes do not mix.
bool tells_class(const std::vector<std::pair<float, double>>& rows, size_t classes) {
  size_t changes = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].second == rows[i - 1].second) continue;
    if (rows[i].first == rows[i - 1].first || ++changes >= classes) return false;
  }
  return true;
}

bool tells_value(const std::vector<std::pair<float, double>>& rows) {
  double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  const auto n = static_cast<double>(rows.size());
  for (const auto& [a, b] : rows) x += a / n, y += b / n;
  for (const auto& [a, b] : rows)
    xx += (a - x) * (a - x), yy += (b - y) * (b - y), xy += (a - x) * (b - y);
  return xx > 0 && yy > 0 && xy * xy / (xx * yy) > 0.99999;
}

}  // namespace

void FitOptions::check() const {
  if (data.empty()) fail(Error::Kind::usage, {"which data? nacre fit DATA"});
  if (out.empty()) fail(Error::Kind::usage, {"the model needs a place (out)"});
  if (!(budget >= 5) || budget > 1e7)
    fail(Error::Kind::usage, {"the budget should be from 5 seconds to 1e7, got ", budget});
  if (trials < 0 || trials > 1000000)
    fail(Error::Kind::usage, {"trials should be from 0 (as many as the budget allows) to 1000000, "
                              "got ",
                              trials});
  if (nested == 1 || nested < 0 || nested > 20)
    fail(Error::Kind::usage,
         {"nested cross-validation has 2 to 20 outer parts (0: none), got ", nested});
  if (keep == 1 || keep < 0 || keep > 64)
    fail(Error::Kind::usage, {"2 to 64 models can be kept (0: only the result), got ", keep});
  if (!(latency_limit >= 0))
    fail(Error::Kind::usage, {"the latency limit should be at least 0, got ", latency_limit});
}

TrainConfig FitTask::base() const {
  TrainConfig c;
  c.data = options.data;
  c.target = options.target;
  c.task = options.task;
  c.seed = options.seed;
  c.test_share = own_test ? TrainConfig().test_share : kTestShare;
  c.val_share = folds.empty() ? val_share : 0;
  c.on_error = unreadable ? "skip" : "fail";
  c.workers = 1;
  return c;
}

FitTask make_task(const FitOptions& options) {
  options.check();
  FitTask t;
  t.options = options;
  TrainConfig config = t.base();
  config.val_share = 0;
  config.on_error = "skip";
  config.test_share = kTestShare;
  DataSplits data = open_dataset(options.data, open_options(config));
  if (!data.train || data.train->size() == 0)
    fail(Error::Kind::data, {options.data, " holds no training samples"});
  if (const int64_t n = data.train->size(); n < kFewest)
    fail(Error::Kind::data, {options.data, " holds ", n, n == 1 ? " sample" : " samples",
                             " to learn from; at least ", kFewest, " are needed"});
  t.findings = check_dataset(data);
  for (const Finding& f : t.findings)
    if (const TableSchema* table = data.train->schema();
        f.code == "empty_column" && f.count == table->features() && !table->has_text())
      fail(Error::Kind::data, {options.data, ": no column but the target has a value"});
  for (const Finding& f : t.findings)
    if (f.code == "one_class" || f.code == "empty")
      fail(Error::Kind::data, {options.data, ": ", f.text});
  for (const Finding& f : t.findings) t.unreadable = t.unreadable || f.code == "unreadable";
  t.own_test = data.test != nullptr;
  t.own_val = data.val != nullptr;
  prepare_splits(data, config);
  t.test = data.test;
  t.pool = data.train;
  t.regression = t.pool->classes().empty();
  const Sample first = t.pool->get(0);
  const TableSchema* schema = table_schema(*t.pool);
  t.texts = schema ? schema->has_text() : first.image.empty() && !first.text.empty();
  t.clips = !first.audio.empty();
  if (schema && first.image.empty() && first.features.empty() && !t.texts)
    fail(Error::Kind::data, {options.data, " has no column to learn from"});
  if (first.image.empty() && first.features.empty() && !t.texts && !t.clips)
    fail(Error::Kind::unsupported,
         {options.data, " holds neither pictures nor clips nor rows nor texts"});
  t.kind = first.image.empty() && !t.clips ? FitTask::Kind::rows : FitTask::Kind::pictures;
  const char* kind = t.clips ? " holds clips of sound" : " holds pictures";
  if (t.pictures() && !options.target.empty())
    fail(Error::Kind::usage, {"--target is for tables, ", options.data, kind});
  if (t.pictures() && t.regression)
    fail(Error::Kind::unsupported,
         {options.data, " has pictures with values to predict; fit takes pictures with classes"});
  if (t.pool->size() < kFewest)
    fail(Error::Kind::data, {options.data, " leaves ", t.pool->size(),
                             " samples to learn from; at least ", kFewest, " are needed"});
  if (!t.regression && t.pool->size() < 2 * t.classes())
    fail(Error::Kind::data, {options.data, " leaves ", t.pool->size(), " samples to learn ",
                             t.classes(), " classes from, fewer than two of each",
                             schema ? "; numbers are predicted as such with --task values" : ""});
  if (!t.pictures()) look_at_rows(t);
  const ModelInfo from = start_of(options, t);
  if (t.pictures()) look_at_pictures(t, from.input.rank() == 3 ? from.input[0] : 0);
  if (t.pictures() && options.nested)
    fail(Error::Kind::usage,
         {"--nested chooses among families of models for tables and texts, ", options.data, kind});
  const Key key = Key(static_cast<uint64_t>(options.seed)).fold_in("folds");
  const int folds = t.own_val ? 1 : folds_for(t);
  if (folds > 1) {
    t.folds = k_folds(t.pool->size(), folds, key, t.regression ? Indices() : labels_of(*t.pool));
    t.train = t.pool;
  } else {
    t.val_share = t.pool->size() <= 300     ? 0.3
                  : t.pool->size() <= 3000  ? 0.2
                  : t.pool->size() <= 20000 ? 0.15
                                            : 0.1;
    DataSplits divided;
    divided.train = t.pool;
    divided.val = data.val;
    divided.test = t.test;
    config.val_share = t.val_share;
    prepare_splits(divided, config);  // as `nacre train` divides with these settings
    t.train = divided.train;
    t.val = divided.val;
  }
  look_for_leaks(t, t.findings);
  if (!t.pictures()) count_useless(t);
  return t;
}

std::string for_clips(std::string transform) {
  if (const auto at = transform.find(kPassed); at != std::string::npos)
    transform.replace(at, std::string_view(kPassed).size(), ")");
  return transform;
}

FitTask task_of_rows(const DatasetPtr& rows) {
  FitTask t;
  t.pool = t.train = rows;
  t.options.data = "rows";
  t.regression = rows->classes().empty();
  const Sample first = rows->get(0);
  const TableSchema* schema = table_schema(*rows);
  t.texts = schema ? schema->has_text() : !first.text.empty();
  if (!first.image.empty() || (first.features.empty() && !t.texts))
    fail(Error::Kind::data, {"a choice among families of models is for rows of a table or texts"});
  look_at_rows(t);
  count_useless(t);
  return t;
}

DatasetPtr learned(const FitTask& t, const DatasetPtr& data) {
  if (t.part >= 1) return data;
  Indices kept;
  std::map<int64_t, double> due;
  for (int64_t i = 0; i < data->size(); ++i) {
    const auto [at, first] = due.emplace(t.regression ? 0 : data->label(i), 1.0);
    if (at->second >= 1) kept.push_back(i), at->second -= 1;
    at->second += t.part;
  }
  return subset(data, kept);
}

void look_for_leaks(const FitTask& t, std::vector<Finding>& findings) {
  if (!t.own_test && t.test) {
    std::map<uint64_t, int64_t> seen;
    for (int64_t i = 0; i < t.pool->size(); ++i) seen.emplace(t.pool->content_hash(i), i);
    Finding f{Finding::Level::warning,
              "duplicate",
              "samples of the test part are in the training part too, which makes the result look "
              "better than it is",
              0,
              {}};
    for (int64_t i = 0; i < t.test->size(); ++i) {
      const auto at = seen.find(t.test->content_hash(i));
      if (at == seen.end()) continue;
      ++f.count;
      if (f.examples.size() < 10)
        f.examples.push_back(t.pool->name(at->second) + " = " + t.test->name(i));
    }
    if (f.count) findings.push_back(f);
  }
  const TableSchema* schema = table_schema(*t.pool);
  if (!schema || t.pictures() || t.pool->size() < 30 || t.pool->get(0).features.empty()) return;
  const std::vector<double> targets = targets_of(*t.pool);
  std::vector<std::vector<float>> rows;
  for (int64_t i = 0; i < t.pool->size(); ++i) rows.push_back(t.pool->get(i).features);
  const auto names = schema->feature_names();
  Finding f{Finding::Level::warning,
            "leak",
            "columns that alone give the target away; if they are not known before it, leave them "
            "out",
            0,
            {}};
  for (size_t k = 0; k < names.size() && k < rows[0].size(); ++k) {
    std::vector<std::pair<float, double>> column;
    for (size_t i = 0; i < rows.size(); ++i)
      if (!std::isnan(rows[i][k])) column.emplace_back(rows[i][k], targets[i]);
    if (column.size() < 30) continue;
    std::sort(column.begin(), column.end());
    if (t.regression ? !tells_value(column)
                     : !tells_class(column, static_cast<size_t>(t.classes())))
      continue;
    ++f.count;
    if (f.examples.size() < 10) f.examples.push_back(names[k]);
  }
  if (f.count) findings.push_back(f);
}

double loss_of_scores(const FitTask& t, const std::vector<float>& scores) {
  const DatasetPtr& data = t.judged();
  if (!t.regression) return log_loss(labels_of(*data), scores, t.classes());
  std::vector<float> targets;
  for (double v : targets_of(*data)) targets.push_back(static_cast<float>(v));
  double mean = 0, square = 0;
  for (float v : targets) mean += v / static_cast<double>(targets.size());
  for (float v : targets) square += (v - mean) * (v - mean) / static_cast<double>(targets.size());
  return mean_squared_error(targets, scores) / std::max(1e-30, square);
}

double score_of(const FitTask& t, const std::vector<float>& scores) {
  if (!t.regression) return accuracy(labels_of(*t.judged()), argmax_rows(scores, t.classes()));
  std::vector<float> targets;
  for (double v : targets_of(*t.judged())) targets.push_back(static_cast<float>(v));
  return -std::sqrt(mean_squared_error(targets, scores));
}

double objective(const FitTask& t, const std::vector<float>& scores) {
  const double loss = loss_of_scores(t, scores);
  return t.regression ? std::sqrt(loss) : blame(t, score_of(t, scores), loss);
}

double blame(const FitTask& t, double accuracy, double log_loss) {
  const double guess = std::log(static_cast<double>(std::max<int64_t>(2, t.classes())));
  return 1 - accuracy + 0.1 * std::min(kMostLoss, log_loss / guess);
}

}  // namespace nacre
