#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "cli/show.h"
#include "data/readers.h"
#include "train/terminal.h"

namespace nacre::cli {
namespace {

constexpr uint64_t kStdinCap = uint64_t{256} << 20;

struct Scored {
  std::vector<std::pair<std::string, double>> classes;  // best first
  std::vector<float> values;                            // regression
};

Scored score(Model& m, const Transform& transform, Sample sample) {
  NoGrad guard;
  transform.apply(sample, false, Key(0));
  const Batch b = collate({sample}, {0}, static_cast<int64_t>(m.info.classes.size()));
  Shape want = {1};
  for (int64_t d : m.info.input) want.push_back(d);
  if (b.shape != want)
    fail(Error::Kind::data,
         {"the sample has shape ", b.shape, " after the transform, the model wants ", want});
  Context ctx = Context::eval();
  const Tensor y = (*m.net)(Tensor::from(b.x, b.shape), ctx);
  Scored s;
  if (m.info.classes.empty()) {
    s.values = y.to_vector<float>();
    return s;
  }
  const auto p = softmax(y).to_vector<float>();
  for (size_t k = 0; k < p.size() && k < m.info.classes.size(); ++k)
    s.classes.emplace_back(m.info.classes[k], p[k]);
  std::stable_sort(s.classes.begin(), s.classes.end(),
                   [](const auto& a, const auto& c) { return a.second > c.second; });
  return s;
}

void show(const PredictArgs& a, const std::string& name, const Image& picture, Scored s) {
  if (s.classes.size() > static_cast<size_t>(a.top)) s.classes.resize(static_cast<size_t>(a.top));
  if (a.json) {
    Json j = Json::object();
    j["input"] = name;
    if (s.classes.empty()) {
      Json values = Json::array();
      for (float v : s.values) values.push_back(v);
      j["values"] = values;
    } else {
      j["label"] = s.classes[0].first;
      Json list = Json::array();
      for (const auto& [label, p] : s.classes) {
        Json one = Json::object();
        one["label"] = label;
        one["probability"] = p;
        list.push_back(one);
      }
      j["classes"] = list;
    }
    std::printf("%s\n", print_json(j).c_str());
    return;
  }
  if (a.draw && !picture.empty()) std::printf("%s", draw(picture, 32).c_str());
  if (s.classes.empty()) {
    std::printf("%s", name.c_str());
    for (float v : s.values) std::printf("  %.6g", v);
    std::printf("\n");
    return;
  }
  std::printf("%s: %s\n%s", name.c_str(), s.classes[0].first.c_str(),
              probability_bars(s.classes, 24, terminal_is_utf8()).c_str());
}

/// Files to predict, folders opened, in order of name.
std::vector<std::string> files_of(const std::string& input) {
  namespace fs = std::filesystem;
  if (!folder_exists(input)) return {input};
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(input, error), end; at != end && !error;
       at.increment(error))
    if (at->is_regular_file(error)) files.push_back(at->path().string());
  std::sort(files.begin(), files.end());
  if (files.empty()) fail(Error::Kind::data, {input, " holds no files"});
  return files;
}

/// Whether an input of a model of a table is a table too, or a picture.
bool holds_rows(const std::string& name, const std::string& bytes, const ModelInfo& info) {
  if (info.input.rank() == 1) return true;
  if (name == "-")
    return image_format({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}) ==
           ImageFormat::unknown;
  return name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".gz");
}

void predict_rows(const PredictArgs& a, const DatasetPtr& rows, Model& m, const Transform& t) {
  if (const std::string remark = rows->remark(); !remark.empty()) log_warning({remark});
  for (int64_t i = 0; i < rows->size(); ++i) {
    check_stop();
    Sample s = rows->get(i);
    const Image picture = s.image;
    show(a, rows->name(i), picture, score(m, t, std::move(s)));
  }
}

}  // namespace

int run_predict(const PredictArgs& a) {
  Model m = open_model(a.model);
  const Transform transform = Transform::parse(m.info.transform);
  const auto table = m.info.extra.find("table");
  int failed = 0;
  for (const std::string& input : a.inputs) {
    const std::string piped = input == "-" ? read_stdin(kStdinCap) : "";
    if (table != m.info.extra.end() && holds_rows(input, piped, m.info)) {
      const TableSchema schema = TableSchema::from_json(table->second);
      CsvOptions options;
      options.schema = &schema;
      options.needs_target = false;
      predict_rows(a,
                   input == "-" ? data::csv_dataset(piped, options, "standard input")
                                : open_csv(input, options),
                   m, transform);
      continue;
    }
    for (const std::string& file : input == "-" ? std::vector<std::string>{"-"} : files_of(input)) {
      check_stop();
      try {
        Sample s;
        if (file == "-") {
          s.image = decode_image({reinterpret_cast<const uint8_t*>(piped.data()), piped.size()},
                                 "standard input");
        } else {
          s.image = read_image(file);
        }
        const Image picture = s.image;
        show(a, file == "-" ? "standard input" : file, picture, score(m, transform, std::move(s)));
      } catch (const Error& e) {  // the others are predicted all the same
        log_error({e.what()});
        ++failed;
      }
    }
  }
  return failed ? 1 : 0;
}

}  // namespace nacre::cli
