#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "data/bytes.h"
#include "data/readers.h"
#include "nacre/audio.h"
#include "nacre/precision.h"
#include "nacre/predict.h"
#include "train/terminal.h"

namespace nacre::cli {
namespace {

constexpr uint64_t kStdinCap = uint64_t{256} << 20;

constexpr int64_t kRowsAtOnce = 64;

/// The first class has the largest probability, unless there is none.
void check_scores(const std::string& name, const Prediction& p) {
  if (!p.classes.empty() && !std::isfinite(p.classes[0].probability))
    fail(Error::Kind::data, {name,
                             ": the model gives no numbers for this sample: it, or a weight, "
                             "is not finite or far too large"});
}

void show(const PredictArgs& a, const std::string& name, const Image& picture,
          const Prediction& p) {
  check_scores(name, p);
  if (a.json) {
    Json j = Json::object();
    j["input"] = name;
    if (p.classes.empty()) {
      Json values = Json::array();
      for (float v : p.values) values.push_back(v);
      j["values"] = values;
    } else {
      j["label"] = p.label();
      Json list = Json::array();
      for (const auto& [label, probability] : p.classes) {
        Json one = Json::object();
        one["label"] = label;
        one["probability"] = probability;
        list.push_back(one);
      }
      j["classes"] = list;
    }
    std::printf("%s\n", print_json(j).c_str());
    return;
  }
  if (a.draw && !picture.empty()) std::printf("%s", draw(picture, 32).c_str());
  if (p.classes.empty()) {
    std::printf("%s", name.c_str());
    for (float v : p.values) std::printf("  %.6g", v);
    std::printf("\n");
    return;
  }
  std::vector<std::pair<std::string, double>> bars;
  for (const auto& [label, probability] : p.classes) bars.emplace_back(label, probability);
  std::printf("%s: %s\n%s", name.c_str(), p.label().c_str(),
              probability_bars(bars, 24, terminal_is_utf8()).c_str());
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
  if (name == "-") return image_format(data::bytes_of(bytes)) == ImageFormat::unknown;
  return name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".gz");
}

void predict_rows(const PredictArgs& a, const DatasetPtr& rows, const Predictor& model) {
  if (const std::string remark = rows->remark(); !remark.empty()) log_warning({remark});
  for (int64_t from = 0; from < rows->size(); from += kRowsAtOnce) {
    check_stop();
    const int64_t to = std::min(rows->size(), from + kRowsAtOnce);
    std::vector<Sample> samples;
    for (int64_t i = from; i < to; ++i) samples.push_back(rows->get(i));
    const auto found = model.predict(std::move(samples), static_cast<size_t>(a.top));
    for (int64_t i = from; i < to; ++i)
      show(a, rows->name(i), a.draw ? rows->get(i).image : Image(),
           found[static_cast<size_t>(i - from)]);
  }
}

/// Whether a file that lies among pictures or clips was meant to be one.
bool meant_as_sample(const std::string& file, const std::string& bytes) {
  const auto head = data::bytes_of(bytes);
  return data::is_picture_name(file) || data::is_clip_name(file) || is_wav(head) ||
         image_format(head) != ImageFormat::unknown;
}

}  // namespace

int run_predict(const PredictArgs& a) {
  const Precision precision(a.precision);
  const Predictor model(a.model);
  int failed = 0;
  for (const std::string& input : a.inputs) {
    const bool pipe = input == "-";
    const std::string piped = pipe ? read_stdin(kStdinCap) : "";
    if (pipe && piped.empty()) fail(Error::Kind::data, {"standard input is empty"});
    if (model.schema() && holds_rows(input, piped, model.info())) {
      CsvOptions options;
      options.schema = model.schema();
      options.needs_target = false;
      predict_rows(
          a, pipe ? data::csv_dataset(piped, options, "standard input") : open_csv(input, options),
          model);
      continue;
    }
    const bool folder = !pipe && folder_exists(input);
    int samples = 0;
    for (const std::string& file : pipe ? std::vector<std::string>{"-"} : files_of(input)) {
      check_stop();
      try {
        const std::string bytes =
            pipe ? piped : read_file(file, static_cast<uint64_t>(DecodeLimits{}.max_bytes));
        if (folder && !meant_as_sample(file, bytes)) {
          log_warning({file, " is no picture or clip and is passed over"});
          continue;
        }
        ++samples;
        const std::string name = pipe ? "standard input" : file;
        Sample s = model.picture(bytes, name);
        const Image picture = a.draw ? s.image : Image();
        show(a, name, picture, model.predict(std::move(s), static_cast<size_t>(a.top)));
      } catch (const Error& e) {  // the others are predicted all the same
        log_error({e.what()});
        ++failed;
      }
    }
    if (folder && samples == 0) fail(Error::Kind::data, {input, " holds no pictures or clips"});
  }
  return failed ? 1 : 0;
}

}  // namespace nacre::cli
