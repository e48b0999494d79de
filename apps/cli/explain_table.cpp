// nacre explain MODEL --data TABLE: which columns matter, and how.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"
#include "cli/explain.h"
#include "train/setup.h"

namespace nacre::cli {
namespace {

using explain::Page;

constexpr int64_t kMostRows = 2000;       ///< of permutation importance
constexpr int64_t kMostDependence = 500;  ///< of partial dependence
constexpr int64_t kMostOutputs = 6;       ///< curves in a chart
constexpr size_t kCharts = 12;

/// The test part as training split the data, else all rows; at most kMostRows, evenly.
DatasetPtr rows_of(const ExplainArgs& a, const Predictor& p) {
  OpenOptions options;
  options.csv.schema = p.schema();
  DataSplits data = open_dataset(a.data, options);
  const auto split = p.info().extra.find("split");
  if (!data.test && split != p.info().extra.end()) split_again(data, split->second);
  DatasetPtr part = data.test ? data.test : data.train;
  leave_out_unlabelled(part);
  if (part->size() <= kMostRows) return part;
  log_info({"of ", part->size(), " rows, ", kMostRows, " are used"});
  Indices some;
  for (int64_t i = 0; i < kMostRows; ++i) some.push_back(i * part->size() / kMostRows);
  return subset(part, some);
}

struct Rows {
  Tensor x;  ///< features as the table has them; with free text also the number of a text
  std::vector<std::string> texts;
  std::vector<int64_t> labels;
  std::vector<float> targets;
};

Rows read(const DatasetPtr& data, const TableSchema& schema) {
  Rows r;
  const int64_t features = schema.features();
  std::vector<float> values;
  for (int64_t i = 0; i < data->size(); ++i) {
    Sample s = data->get(i);
    if (static_cast<int64_t>(s.features.size()) != features)
      fail(Error::Kind::data,
           {data->name(i), " has ", s.features.size(), " features, the model ", features});
    values.insert(values.end(), s.features.begin(), s.features.end());
    if (schema.has_text()) {
      values.push_back(static_cast<float>(i));
      r.texts.push_back(std::move(s.text));
    }
    r.labels.push_back(s.label);
    r.targets.insert(r.targets.end(), s.target.begin(), s.target.end());
  }
  r.x = Tensor::from(values, {data->size(), features + (schema.has_text() ? 1 : 0)});
  return r;
}

/// The columns with features, and all free text together as one.
std::vector<explain::Column> columns_of(const TableSchema& schema) {
  std::vector<explain::Column> columns = explain::columns_of(schema);
  std::string text;
  for (size_t i = 0; i < schema.columns.size(); ++i)
    if (static_cast<int>(i) != schema.target && schema.columns[i].kind == TableColumn::Kind::text)
      text += (text.empty() ? "" : " and ") + schema.columns[i].name;
  if (!text.empty()) columns.push_back({text, schema.features(), 1, {}});
  return columns;
}

/// The model on rows as read() gives them: the transform, then the network.
explain::Scores on_rows(const Predictor& p, const Rows& rows) {
  return [&p, &rows](const Tensor& x) {
    check_stop();
    const auto values = x.to_vector<float>();
    const auto all = static_cast<ptrdiff_t>(x.size(1));
    const ptrdiff_t features = all - (rows.texts.empty() ? 0 : 1);
    std::vector<float> prepared;
    int64_t width = 0;
    for (auto row = values.begin(); row != values.end(); row += all) {
      Sample s;
      s.features.assign(row, row + features);
      if (features < all) s.text = rows.texts[static_cast<size_t>(row[features])];
      const std::vector<float> ready = p.prepare(std::move(s));
      width = static_cast<int64_t>(ready.size());
      prepared.insert(prepared.end(), ready.begin(), ready.end());
    }
    NoGrad guard;
    const Tensor y = explain::scores_of(p.net())(Tensor::from(prepared, {x.size(0), width}));
    return p.info().classes.empty() ? y : softmax(y);
  };
}

Json dependence_json(const explain::Dependence& d) {
  Json j = Json::object();
  Json at = Json::array(), outputs = Json::array();
  for (size_t i = 0; i < d.at.size(); ++i) {
    at.push_back(d.categories.empty() ? Json(d.at[i]) : Json(d.categories[i]));
    Json row = Json::array();
    for (double v : d.mean[i]) row.push_back(v);
    outputs.push_back(row);
  }
  j["at"] = at;
  j["mean"] = outputs;
  return j;
}

Chart dependence_chart(const explain::Dependence& d, const ModelInfo& info) {
  Chart c;
  c.title = d.column;
  c.y_label = info.classes.empty() ? "mean prediction" : "mean probability";
  const auto outputs =
      d.mean.empty() ? size_t{0} : std::min(d.mean[0].size(), static_cast<size_t>(kMostOutputs));
  // Of two classes one curve says it all.
  for (size_t k = info.classes.size() == 2 ? 1 : 0; k < outputs; ++k) {
    Series s{class_name(info, static_cast<int64_t>(k)), d.at, {}};
    for (const auto& row : d.mean) s.ys.push_back(row[k]);
    c.series.push_back(std::move(s));
  }
  return c;
}

}  // namespace

void explain_table(const ExplainArgs& a, const Predictor& p) {
  if (!p.schema()) fail(Error::Kind::usage, {a.model, " does not know the columns of its table"});
  const std::vector<explain::Column> columns = columns_of(*p.schema());
  const DatasetPtr data = rows_of(a, p);
  const bool values = p.info().classes.empty();
  const Rows rows = read(data, *p.schema());
  const explain::Scores f = on_rows(p, rows);
  const explain::Quality quality =
      values ? explain::r2_of(rows.targets) : explain::accuracy_of(rows.labels);
  const char* measure = values ? "R2" : "accuracy";
  const double whole = quality(f(rows.x));

  std::vector<explain::Importance> list;
  Progress bar("columns", static_cast<int64_t>(columns.size()), "columns");
  for (const explain::Column& c : columns) {
    list.push_back(explain::permutation_importance(f, rows.x, quality, {c})[0]);
    bar.advance();
  }
  bar.finish();
  std::vector<size_t> order(columns.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t x, size_t y) { return list[x].mean > list[y].mean; });

  Page page;
  page.title = "What " + p.info().model + " looks at";
  page.subtitle = a.model + " on " + a.data;
  page.tiles = {{measure, format_number(whole)}, {"rows", std::to_string(data->size())}};
  Page::Section importance{.title = "How much each column matters",
                           .text = cat({"By how much ", measure,
                                        " falls when the column's values are dealt out to the rows "
                                        "anew (mean of five shuffles and its deviation)."}),
                           .columns = {"Column", cat({"Fall of ", measure}), "Deviation"},
                           .numbers = true};
  Page::Section curves{.title = "How the prediction follows a column",
                       .text =
                           "The mean over rows while the column is set to a value; "
                           "categories are numbered in the order of the alphabet."};
  Json json = Json::object(), all = Json::array();
  json["model"] = a.model;
  json["measure"] = measure;
  json["value"] = whole;
  const Tensor some = slice(rows.x, 0, 0, std::min(kMostDependence, rows.x.size(0)));
  if (!a.json)
    std::printf("%s %s on %ld rows\n", measure, format_number(whole).c_str(),
                static_cast<long>(data->size()));
  for (size_t k = 0; k < order.size(); ++k) {
    const explain::Importance& i = list[order[k]];
    importance.rows.push_back({i.column, format_number(i.mean, 3), format_number(i.deviation, 2)});
    if (!a.json && k < 20)
      std::printf("%9s  %s\n", format_number(i.mean, 3).c_str(), printable(i.column).c_str());
    Json one = Json::object();
    one["column"] = i.column;
    one["importance"] = i.mean;
    one["deviation"] = i.deviation;
    if (k < kCharts && columns[order[k]].first < p.schema()->features()) {
      const explain::Dependence d = explain::partial_dependence(f, some, columns[order[k]]);
      curves.charts.push_back(dependence_chart(d, p.info()));
      one["partial_dependence"] = dependence_json(d);
    }
    all.push_back(one);
  }
  json["columns"] = all;
  page.sections = {std::move(importance), std::move(curves)};
  Output(a).finish(page, json, a.json);
}

}  // namespace nacre::cli
