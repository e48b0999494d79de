#include "autodl/fit_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/text.h"
#include "base/yaml.h"
#include "nacre/explain.h"
#include "nacre/formats.h"
#include "nacre/metrics.h"
#include "nacre/predict.h"
#include "train/mistakes.h"
#include "train/report.h"

namespace nacre {
namespace {

constexpr size_t kSuspects = 20, kGroups = 30;
constexpr int64_t kColumns = 200;
constexpr double kUnlikely = 0.05, kSure = 0.9;

std::string score_text(const FitTask& t, double score) {
  return t.regression ? format_number(-score, 5) : percent(score);
}

std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

RunReport::Table leaderboard(const FitResult& r, const FitTask& t) {
  RunReport::Table table;
  table.title = "What was tried";
  table.note =
      cat({r.leaderboard.size(), " trials, best first. ",
           t.folds.empty() ? "Measured on held-out samples; "
                           : cat({"Measured by cross-validation in ", t.folds.size(), " parts; "}),
           "the test part was not looked at."});
  table.columns = {"Trial",
                   t.regression ? "RMSE" : "Accuracy",
                   t.regression ? "Loss" : "Log loss",
                   "Model",
                   "What",
                   "Settings",
                   "Seconds",
                   "Size",
                   "Remark"};
  for (const FitTrial& f : r.leaderboard) {
    const bool done = f.state == Trial::State::done;
    std::string remark = f.weight > 0 ? "the result" : "";
    if (f.weight > 0 && f.weight < 1) remark = cat({percent(f.weight), " of the result"});
    if (f.part < 1)
      remark +=
          cat({remark.empty() ? "" : "; ", "learned from ", percent(f.part), " of the samples"});
    if (!f.note.empty()) remark += (remark.empty() ? "" : "; ") + f.note;
    table.rows.push_back({std::to_string(f.number), done ? score_text(t, f.score) : "",
                          done ? format_number(f.loss, 4) : "", f.model, f.label, f.settings,
                          format_number(f.seconds, 3), done ? format_bytes(f.bytes) : "",
                          done ? remark : cat({name_of(f.state), ": ", remark})});
  }
  return table;
}

Chart search_curve(const FitResult& r, const FitTask& t) {
  std::map<int64_t, double> scores;
  for (const FitTrial& f : r.leaderboard)
    if (f.state == Trial::State::done) scores[f.number] = t.regression ? -f.score : f.score;
  Series each{"trial", {}, {}}, best{"best so far", {}, {}};
  for (const auto& [number, score] : scores) {
    each.xs.push_back(static_cast<double>(number));
    each.ys.push_back(score);
    const double before = best.ys.empty() ? score : best.ys.back();
    best.xs.push_back(static_cast<double>(number));
    best.ys.push_back(t.regression ? std::min(before, score) : std::max(before, score));
  }
  return {"Search", "trial", t.regression ? "RMSE" : "accuracy", {best, each}};
}

RunReport::Table findings(const std::vector<Finding>& list) {
  RunReport::Table table;
  table.title = "What was found in the data";
  table.columns = {"", "Finding", "Times", "For example"};
  for (const Finding& f : list) {
    std::string examples;
    for (const std::string& e : f.examples) examples += (examples.empty() ? "" : ", ") + e;
    table.rows.push_back({f.level == Finding::Level::error     ? "error"
                          : f.level == Finding::Level::warning ? "warning"
                                                               : "note",
                          f.text, f.count ? std::to_string(f.count) : "", clip(examples, 300)});
  }
  return table;
}

RunReport::Table families(const FitResult& r, const FitTask& t) {
  RunReport::Table table;
  table.title = "Families of models";
  table.columns = {"Family", "On inner parts", "On outer parts", "Chosen"};
  for (const FamilyScore& f : r.nested.families)
    table.rows.push_back(
        {f.family, score_text(t, f.inner), score_text(t, f.outer), std::to_string(f.chosen)});
  table.note = cat({"By nested cross-validation in ", r.nested.parts,
                    " outer parts: in each the "
                    "family that was best on inner parts of the other samples is chosen. What was "
                    "chosen had ",
                    score_text(t, r.nested.inner), " there and ", score_text(t, r.nested.outer),
                    " on the outer parts, which no choice had "
                    "seen; ",
                    r.nested.chosen, " was then searched"});
  return table;
}

RunReport::Table kept_models(const FitResult& r, const FitTask& t) {
  RunReport::Table table;
  table.title = "Models of different structure";
  table.note = "Each is at most a hundredth below the best on held-out samples.";
  table.columns = {"File", "Structure", "On held-out samples", "On the test part"};
  for (const KeptModel& m : r.kept)
    table.rows.push_back(
        {m.file, m.structure, m.score == 0 ? "" : score_text(t, m.score), score_text(t, m.test)});
  return table;
}

/// Where the model looks at some columns only: which ones.
std::optional<RunReport::Table> used_columns(const Model& model, const FitTask& t) {
  const std::string start = "columns([", &text = model.info.transform;
  const TableSchema* schema = table_schema(*t.pool);
  if (!schema || text.rfind(start, 0) != 0) return std::nullopt;
  const auto names = schema->feature_names();
  RunReport::Table table;
  table.title = "Columns that are used";
  table.columns = {"", "Column"};
  std::stringstream list(text.substr(start.size(), text.find(']') - start.size()));
  int64_t count = 0;
  for (std::string number; std::getline(list, number, ',');)
    if (++count <= kColumns) table.rows.push_back({number, names.at(std::stoull(number))});
  table.note = cat({count, " of ", names.size(),
                    " go with what is to be predicted, by F tests on the samples that the model "
                    "learned from; the others are given, but not looked at"});
  if (count > kColumns) table.note += cat({". The first ", kColumns, " are shown"});
  return table;
}

/// The value of a column of a sample as text: a category, or one of four ranges of a number.
class Slicer {
 public:
  Slicer(const Dataset& data, const std::string& column) {
    const TableSchema* schema = table_schema(data);
    if (!schema)
      fail(Error::Kind::usage, {"--slice ", column, " needs a table with such a column"});
    size_t at = 0;
    std::string known;
    for (size_t c = 0; c < schema->columns.size(); ++c) {
      if (static_cast<int>(c) == schema->target) continue;
      const TableColumn& col = schema->columns[c];
      known += (known.empty() ? "" : ", ") + col.name;
      if (col.name == column) {
        column_ = col;
        at_ = at;
        found_ = true;
      }
      at += col.kind == TableColumn::Kind::number ? 1 : col.categories.size();
    }
    if (!found_)
      fail(Error::Kind::usage,
           {"there is no column '", column, "' to slice by; there are ", known});
    if (column_.kind == TableColumn::Kind::category) return;
    std::vector<float> values;
    for (int64_t i = 0; i < data.size(); ++i)
      if (const float v = data.get(i).features[at_]; !std::isnan(v)) values.push_back(v);
    std::sort(values.begin(), values.end());
    for (size_t k = 1; k < 4 && !values.empty(); ++k) {
      const float v = values[values.size() * k / 4];
      if (bounds_.empty() || v > bounds_.back()) bounds_.push_back(v);
    }
  }
  std::string of(const Sample& s) const {
    if (column_.kind == TableColumn::Kind::category) {
      for (size_t k = 0; k < column_.categories.size(); ++k)
        if (s.features[at_ + k] == 1) return column_.categories[k];
      return "(missing or other)";
    }
    const float v = s.features[at_];
    if (std::isnan(v)) return "(missing)";
    size_t k = 0;
    while (k < bounds_.size() && v >= bounds_[k]) ++k;
    if (bounds_.empty()) return "all";
    return k == 0 ? cat({"below ", format_number(bounds_[0])})
           : k == bounds_.size()
               ? cat({"from ", format_number(bounds_.back())})
               : cat({"from ", format_number(bounds_[k - 1]), " to ", format_number(bounds_[k])});
  }

 private:
  TableColumn column_;
  size_t at_ = 0;
  bool found_ = false;
  std::vector<float> bounds_;
};

RunReport::Table slices(const FitResult& r, const FitTask& t, const std::string& column) {
  RunReport::Table table;
  table.title = "By " + column;
  table.columns = {column, "Samples", t.regression ? "RMSE" : "Accuracy"};
  if (!t.regression)
    for (const std::string& c : r.test.classes) table.columns.push_back(cat({"Predicted ", c}));
  table.note =
      "The result for the samples of each value of this column: large differences mean that the "
      "model serves some worse than others.";
  const Slicer slicer(*t.test, column);
  struct Group {
    int64_t count = 0, right = 0;
    double squares = 0;
    std::vector<int64_t> predicted;
  };
  std::map<std::string, Group> groups;
  for (int64_t i = 0; i < t.test->size(); ++i) {
    Group& g = groups[slicer.of(t.test->get(i))];
    const auto at = static_cast<size_t>(i);
    ++g.count;
    if (t.regression) {
      g.squares += std::pow(r.test.scores[at] - r.test.targets[at], 2);
    } else {
      g.right += r.test.labels[at] == r.test.predicted[at];
      g.predicted.resize(r.test.classes.size());
      ++g.predicted[static_cast<size_t>(r.test.predicted[at])];
    }
  }
  for (const auto& [name, g] : groups) {
    if (table.rows.size() >= kGroups) break;
    const auto n = static_cast<double>(g.count);
    std::vector<std::string> row = {name, std::to_string(g.count),
                                    t.regression ? format_number(std::sqrt(g.squares / n), 5)
                                                 : percent(static_cast<double>(g.right) / n)};
    for (int64_t p : g.predicted) row.push_back(percent(static_cast<double>(p) / n));
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// Heat maps of what the model saw.
Reason heat_maps(const Predictor& model) {
  return [&model](const Sample& sample, int64_t taken_for) {
    Shape one = {1};
    for (int64_t d : model.info().input) one.push_back(d);
    const Tensor x = Tensor::from(model.prepare(sample), one);
    return png_of(explain::overlay(explain::picture_of(x, model.transform()),
                                   explain::heat(model.net(), x, {taken_for})));
  };
}

std::string cpp_example(const std::string& model, bool pictures) {
  return cat({"#include \"nacre/predict.h\"\n\nconst nacre::Predictor model(\"", model, "\");\n",
              pictures ? "const auto p = model.predict(model.picture(bytes_of_a_file));\n"
                       : "const auto p = model.predict(model.row({\"1.5\", \"red\"}));\n",
              "std::printf(\"%s\\n\", p.label().c_str());"});
}

std::string c_example(const std::string& model, const FitTask& t) {
  return cat({"#include \"nacre.h\"\n\nnacre_model* model;\nnacre_open(\"", model, "\", &model);\n",
              t.pictures()   ? "nacre_predict_picture(model, bytes, size, best, 3, &found);"
              : t.regression ? "nacre_predict_row_values(model, cells, count, values, 1, &found);"
                             : "nacre_predict_row(model, cells, count, best, 3, &found);"});
}

}  // namespace

std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-./,:=+") == std::string::npos;
  if (plain) return text;
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string train_command(const TrainConfig& config, const std::string& out) {
  const Json mine = parse_yaml(config.to_yaml(), "settings"),
             usual = parse_yaml(TrainConfig::for_model(config.model).to_yaml(), "settings");
  std::string command = "nacre train " + config.model;
  for (const auto& [name, value] : mine.fields()) {
    if (name == "model" || name == "out" || print_json(value) == print_json(usual.at(name)))
      continue;
    command +=
        " --" + dashed(name) + " " + quoted(value.is_text() ? value.text() : print_json(value));
  }
  return command + " --out " + quoted(out);
}

std::vector<float> scores_of(const std::string& path) {
  if (!file_exists(path)) return {};
  return copied_tensor(SafeTensors::open(path).at("scores")).to_vector<float>();
}

Finding suspects(const FitTask& t, const std::vector<float>& scores) {
  Finding f{Finding::Level::note,
            "label_noise",
            "samples whose label may be wrong: the model, which has not learned from them, is sure "
            "of another class",
            0,
            {}};
  const auto classes = static_cast<size_t>(t.regression ? 0 : t.classes());
  const auto& data = *t.judged();
  if (classes < 2 || scores.size() != classes * static_cast<size_t>(data.size())) return f;
  std::vector<std::pair<float, int64_t>> found;
  for (int64_t i = 0; i < data.size(); ++i) {
    const float* p = &scores[static_cast<size_t>(i) * classes];
    const float own = p[data.label(i)], most = *std::max_element(p, p + classes);
    if (own < kUnlikely && most > kSure) found.emplace_back(-most, i);
  }
  std::sort(found.begin(), found.end());
  f.count = static_cast<int64_t>(found.size());
  for (size_t k = 0; k < std::min(kSuspects, found.size()); ++k) {
    const int64_t i = found[k].second;
    const float* p = &scores[static_cast<size_t>(i) * classes];
    const auto best = static_cast<size_t>(std::max_element(p, p + classes) - p);
    f.examples.push_back(
        cat({data.name(i), " (", data.classes()[static_cast<size_t>(data.label(i))], ", rather ",
             data.classes()[best], ")"}));
  }
  return f;
}

void write_fit_report(const FitResult& r, const FitTask& t, const FitOptions& options,
                      const Model& model, const std::vector<float>& scores) {
  RunReport page;
  const FitTrial& best = r.leaderboard.at(0);
  page.title = cat({"A model for ", options.data});
  page.subtitle = cat({r.plan.task, "; ", r.plan.train, " samples to learn from, ", r.plan.test,
                       " to test on; ", format_duration(r.seconds), ", seed ", options.seed});
  page.model = cat({model.info.model, " (", model.info.options, ")"});
  if (const std::string warning = r.test.warning(); !warning.empty())
    page.warnings.push_back(warning);
  for (const Finding& f : r.plan.findings)
    if (f.level != Finding::Level::note)
      page.warnings.push_back(f.text + (f.examples.empty() ? "" : ", e.g. " + f.examples[0]));
  if (t.regression)
    page.headline = {{"Test RMSE", format_number(r.test.rmse, 5)},
                     {"R2", format_number(r.test.r2, 4)}};
  else
    page.headline = {{"Test accuracy", percent(r.test.report.accuracy)},
                     {"Macro F1", format_number(r.test.report.macro.f1, 4)}};
  page.headline.emplace_back(t.folds.empty() ? "On held-out samples" : "By cross-validation",
                             score_text(t, best.score));
  page.headline.emplace_back("Test samples", std::to_string(r.plan.test));
  page.headline.emplace_back("Model file", format_bytes(MappedFile::open(r.model)->size()));
  page.charts = {search_curve(r, t)};
  page.tables.push_back(leaderboard(r, t));
  if (r.nested.parts) page.tables.push_back(families(r, t));
  if (!r.kept.empty()) page.tables.push_back(kept_models(r, t));
  std::vector<Finding> found = r.plan.findings;
  if (const Finding noise = suspects(t, scores); noise.count) found.push_back(noise);
  page.tables.push_back(findings(found));
  if (auto used = used_columns(model, t)) page.tables.push_back(std::move(*used));
  if (!options.slice.empty()) page.tables.push_back(slices(r, t, options.slice));
  if (!t.regression) {
    page.classes = r.test.classes;
    page.confusion = r.test.confusion;
    page.calibration = calibration(r.test.labels, r.test.scores, t.classes());
    const Predictor predictor(r.model);
    page.mistakes = worst_mistakes(r.test, *t.test, t.pictures() ? heat_maps(predictor) : nullptr);
  }
  Shape one = {1};
  for (int64_t d : model.info.input) one.push_back(d);
  for (const LayerInfo& l : list_layers(*model.net, one))
    page.layers.push_back({l.path, "", l.output.str(), l.parameters});
  const TableSchema* schema = table_schema(*t.pool);
  const bool one_text = t.texts && (!schema || schema->columns.size() <= 2);
  const std::string file = quoted(r.model), input = t.clips        ? "clip.wav"
                                                    : t.pictures() ? "picture.png"
                                                    : one_text     ? "text.txt"
                                                                   : "rows.csv";
  const std::string served = std::filesystem::path(r.model).stem().string();
  page.usage = {{"Predict", cat({"nacre predict ", file, " ", input})},
                {"Serve it, and ask from any program",
                 cat({"nacre serve ", file, "\ncurl --data-binary @", input, " -H 'content-type: ",
                      t.clips        ? "audio/wav"
                      : t.pictures() ? "image/png"
                      : one_text     ? "text/plain"
                                     : "text/csv",
                      "' localhost:8080/v1/models/", served, ":predict"})},
                {"In C++", cpp_example(r.model, t.pictures())},
                {"In C", c_example(r.model, t)}};
  for (const std::string& c : r.commands) page.usage.emplace_back("Train it again", c);
  page.environment = {{"Threads", std::to_string(num_threads())},
                      {"Input", model.info.input.str()},
                      {"Transform", model.info.transform}};
  write_report(r.report, page);
}

}  // namespace nacre
