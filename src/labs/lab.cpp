#include "labs/lab.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <span>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/train.h"
#include "zoo/options.h"

namespace nacre {

std::span<const LabEntry* const> lab_table();

std::vector<const LabEntry*> all_labs() {
  const auto table = lab_table();
  std::vector<const LabEntry*> list(table.begin(), table.end());
  std::sort(list.begin(), list.end(), [](const LabEntry* a, const LabEntry* b) {
    return std::string_view(a->name) < b->name;
  });
  return list;
}

const LabEntry& find_lab(std::string_view name) {
  std::string known;
  for (const LabEntry* lab : all_labs()) {
    if (name == lab->name) return *lab;
    known += (known.empty() ? "" : ", ") + std::string(lab->name);
  }
  fail(Error::Kind::usage, {"there is no lab '", name, "'; there are ", known});
}

namespace {

/// Where a lab says nothing else.
constexpr LabRange kRanges[] = {{"side", 4, 256},     {"samples", 0, 1e7}, {"epochs", 1, 1e6},
                                {"batch", 1, 65536},  {"lr", 1e-9, 1000},  {"width", 1, 1024},
                                {"seconds", 0, 3600}, {"seed", 0, 1e9}};

/// Throws Error(usage) for a value out of its range.
class RangeCheck : public FieldVisitor {
 public:
  explicit RangeCheck(const LabEntry& lab) : lab_(lab) {}
  void operator()(const char*, bool&) override {}
  void operator()(const char* name, int64_t& v) override { check(name, static_cast<double>(v)); }
  void operator()(const char* name, double& v) override { check(name, v); }
  void operator()(const char*, std::string&) override {}
  void operator()(const char* name, Ints& v) override {
    if (v.empty())
      fail(Error::Kind::usage, {"option ", name, " of lab ", lab_.name, " should not be empty"});
    for (const int64_t value : v) check(name, static_cast<double>(value));
  }
  void operator()(const char*, DType&) override {}
  void operator()(const char*, std::shared_ptr<const Graph>&) override {}

 private:
  bool found(std::span<const LabRange> ranges, const std::string& name, double v) const {
    for (const LabRange& r : ranges) {
      if (name != r.option) continue;
      if (!(v >= r.least && v <= r.most))  // also for NaN
        fail(Error::Kind::usage, {"option ", name, " of lab ", lab_.name, " should be from ",
                                  r.least, " to ", r.most, ", got ", v});
      return true;
    }
    return false;
  }
  void check(const std::string& name, double v) const {
    if (!found(lab_.ranges, name, v)) found(kRanges, name, v);
  }
  const LabEntry& lab_;
};

/// Reads options into `config`; returns all as text.
std::string read_options(const LabEntry& lab, std::string_view options, void* config) {
  Options visitor("lab", lab.name, "", options);
  lab.config->visit(config, visitor);
  visitor.finish();
  RangeCheck check(lab);
  lab.config->visit(config, check);
  return visitor.text();
}

}  // namespace

std::string lab_options(const LabEntry& lab, std::string_view options) {
  const OptionValues config(lab.config);
  return read_options(lab, options, config.value);
}

LabResult run_lab(const LabEntry& lab, const std::string& data, std::string_view options) {
  const OptionValues config(lab.config);
  read_options(lab, options, config.value);
  return lab.run(data, config.value);
}

namespace {

Json json_of(const Chart& chart) {
  Json j = Json::object(), series = Json::array();
  j["title"] = chart.title;
  j["x"] = chart.x_label;
  j["y"] = chart.y_label;
  for (const Series& s : chart.series) {
    Json one = Json::object(), xs = Json::array(), ys = Json::array();
    for (const double v : s.xs) xs.push_back(v);
    for (const double v : s.ys) ys.push_back(v);
    one["name"] = s.name;
    one["xs"] = xs;
    one["ys"] = ys;
    series.push_back(one);
  }
  j["series"] = series;
  return j;
}

Json json_of(const RunReport::Table& table) {
  Json j = Json::object(), columns = Json::array(), rows = Json::array();
  for (const std::string& c : table.columns) columns.push_back(c);
  for (const auto& row : table.rows) {
    Json cells = Json::array();
    for (const std::string& cell : row) cells.push_back(cell);
    rows.push_back(cells);
  }
  j["title"] = table.title;
  j["columns"] = columns;
  j["rows"] = rows;
  return j;
}

}  // namespace

void write_lab(const std::string& folder, const LabEntry& lab, const std::string& data,
               const std::string& options, const LabResult& result) {
  std::filesystem::create_directories(folder);
  Json j = Json::object(), numbers = Json::object(), charts = Json::array(), tables = Json::array();
  j["lab"] = lab.name;
  j["data"] = data;
  j["options"] = options;
  j["finding"] = result.finding;
  for (const auto& [name, value] : result.numbers) numbers[name] = value;
  for (const Chart& chart : result.charts) charts.push_back(json_of(chart));
  for (const auto& table : result.tables) tables.push_back(json_of(table));
  j["numbers"] = numbers;
  j["charts"] = charts;
  j["tables"] = tables;
  write_file_atomic(folder + "/results.json", print_json(j) + "\n");
  RunReport r;
  r.title = cat({"Lab: ", lab.name});
  r.subtitle = result.finding;
  r.charts = result.charts;
  r.tables = result.tables;
  r.config = cat({"data: ", data, "\noptions: ", options, "\nreading: ", lab.reading, "\n"});
  r.usage = {{"Run it again", cat({"nacre lab ", lab.name, " --data ", data, " --options \"",
                                   options, "\" --out ", folder})}};
  write_report(folder + "/report.html", r);
}

LabData lab_pictures(const std::string& data, int64_t side, int64_t samples, uint64_t seed) {
  const DataSplits whole = open_dataset(data);
  if (!whole.train || whole.train->size() == 0 || whole.train->get(0).image.empty() ||
      whole.train->classes().size() < 2)
    fail(Error::Kind::usage,
         {data, " is not pictures of at least two classes, which labs are for"});
  LabData d;
  d.classes = static_cast<int64_t>(whole.train->classes().size());
  d.train = whole.train;
  d.test = whole.test ? whole.test : whole.val;
  if (!d.test) {
    const auto lists = split_stratified(labels_of(*whole.train), {0.8, 0.2}, Key(seed));
    d.train = subset(whole.train, lists[0]);
    d.test = subset(whole.train, lists[1]);
  }
  if (samples > 0 && samples < d.classes)
    fail(Error::Kind::usage,
         {samples, " samples are too few for the ", d.classes, " classes of ", data});
  for (DatasetPtr* part : {&d.train, &d.test}) {
    if (samples == 0 || samples >= (*part)->size()) continue;
    const double share = static_cast<double>(samples) / static_cast<double>((*part)->size());
    *part = subset(*part, split_stratified(labels_of(**part), {share, 1 - share}, Key(seed))[0]);
  }
  const std::string size = std::to_string(side);
  const std::string before = "to_channels(1)|resize(" + size + ")";
  double sum = 0, squares = 0, n = 0;
  const Transform plain = Transform::parse(before);
  for (int64_t i = 0; i < std::min<int64_t>(1000, d.train->size()); ++i) {
    Sample s = d.train->get(i);
    plain.apply(s, false, Key(0));
    for (const float v : s.image.pixels) {
      sum += v;
      squares += static_cast<double>(v) * v;
      n += 1;
    }
  }
  const double mean = sum / n, std = std::sqrt(std::max(1e-12, squares / n - mean * mean));
  d.transform = Transform::parse(
      cat({before, "|normalize(mean=", format_number(mean), ",std=", format_number(std), ")"}));
  d.input = {1, side, side};
  return d;
}

LabCurve train_in_lab(const std::string& name, Module& net, const LabData& data,
                      const LabTraining& t) {
  LabCurve curve;
  DataLoader loader(data.train, data.transform, shuffled(data.train->size()),
                    {.batch = t.batch, .workers = 0, .seed = t.seed});
  SGD optimizer(net.trainable(),
                {.lr = t.lr, .momentum = t.momentum, .weight_decay = t.weight_decay});
  if (!t.lr_scales.empty()) optimizer.set_lr_scales(t.lr_scales);
  const auto rate =
      schedule::parse(t.schedule, t.lr, (data.train->size() + t.batch - 1) / t.batch, t.epochs);
  const auto seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (int64_t epoch = 0; epoch < t.epochs; ++epoch) {
    const double start = seconds();
    double sum = 0;
    int64_t n = 0;
    loader.start(epoch);
    while (const auto b = loader.next()) {
      check_stop();
      Context ctx = Context::train(
          Key(t.seed).fold_in("step").fold_in(static_cast<uint64_t>(optimizer.steps())));
      Tensor loss = cross_entropy(net(Tensor::from(b->x, b->shape), ctx),
                                  Tensor::from(b->labels, {b->size()}));
      Tensors g = grad(loss, values(net.trainable()));
      if (t.clip_norm > 0) clip_grad_norm(g, t.clip_norm);
      const Tensor usable = isfinite(stop_gradient(loss));
      optimizer.set_lr(rate->at(optimizer.steps()));
      optimizer.step(g, usable);
      g.clear();
      ctx.commit(usable);
      State* states[] = {net.state().get(), optimizer.state().get()};
      State::commit(states, {loss});
      if (optimizer.steps() == 1) curve.first_loss = loss.item();
      sum += loss.item() * static_cast<double>(b->size());
      n += b->size();
    }
    curve.seconds += seconds() - start;
    const double loss = sum / static_cast<double>(n);
    if (!std::isfinite(loss)) {
      log_info({name, ": the loss is not finite in epoch ", epoch + 1});
      for (auto* of : {&curve.loss, &curve.train_error, &curve.test_error})
        of->resize(static_cast<size_t>(t.epochs), nan);
      return curve;
    }
    const auto error = [&](const DatasetPtr& part) {
      return 1 - evaluate(net, part, data.transform, 256, 0).report.accuracy;
    };
    curve.loss.push_back(loss);
    curve.train_error.push_back(error(data.train));
    curve.test_error.push_back(error(data.test));
    log_info({name, ": epoch ", epoch + 1, "/", t.epochs, ", loss ", format_number(loss),
              ", training error ", per_cent(curve.train_error.back()), ", test error ",
              per_cent(curve.test_error.back())});
  }
  return curve;
}

std::vector<double> counted(const std::vector<double>& of) {
  std::vector<double> xs;
  for (size_t i = 0; i < of.size(); ++i) xs.push_back(static_cast<double>(i + 1));
  return xs;
}

std::string per_cent(double share) {
  if (!std::isfinite(share)) return "none";
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", 100 * share);
  return text;
}

}  // namespace nacre
