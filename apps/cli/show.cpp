#include "cli/show.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "train/terminal.h"

namespace nacre::cli {

std::string headline(const Evaluation& e, const std::string& part) {
  char text[160];
  if (e.regression) {
    std::snprintf(text, sizeof(text), "RMSE %.5g, R2 %.4f (%zu values)", e.rmse, e.r2,
                  e.targets.size());
  } else {
    size_t right = 0;
    for (size_t i = 0; i < e.labels.size(); ++i) right += e.labels[i] == e.predicted[i];
    std::snprintf(text, sizeof(text), "accuracy %.2f %% (%zu of %zu), macro F1 %.4f",
                  100 * e.report.accuracy, right, e.labels.size(), e.report.macro.f1);
  }
  return part == "all" ? cat({text, ", all samples"}) : cat({part, " ", text});
}

Json evaluation_json(const Evaluation& e, int64_t top_k) {
  Json j = Json::object();
  j["loss"] = e.loss;
  if (e.regression) {
    j["rmse"] = e.rmse;
    j["r2"] = e.r2;
    j["samples"] = e.targets.size();
    return j;
  }
  j["samples"] = e.labels.size();
  j["accuracy"] = e.report.accuracy;
  if (top_k < static_cast<int64_t>(e.classes.size()))
    j["top_" + std::to_string(top_k)] = e.top_k(top_k);
  j["macro_precision"] = e.report.macro.precision;
  j["macro_recall"] = e.report.macro.recall;
  j["macro_f1"] = e.report.macro.f1;
  Json classes = Json::array(), matrix = Json::array();
  for (size_t k = 0; k < e.classes.size(); ++k) {
    const ClassScore& s = e.report.classes[k];
    Json c = Json::object();
    c["class"] = e.classes[k];
    c["precision"] = s.precision;
    c["recall"] = s.recall;
    c["f1"] = s.f1;
    c["support"] = s.support;
    classes.push_back(c);
    Json row = Json::array();
    for (size_t i = 0; i < e.classes.size(); ++i)
      row.push_back(e.confusion.at(static_cast<int64_t>(k), static_cast<int64_t>(i)));
    matrix.push_back(row);
  }
  j["classes"] = classes;
  j["confusion"] = matrix;
  return j;
}

std::string digits_at(const std::string& folder) {
  if (folder != "data/digits" || file_exists(folder) || folder_exists(folder)) return folder;
  std::error_code none;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", none);
  const auto installed = self.parent_path().parent_path() / "share" / "nacre" / "digits";
  if (folder_exists(installed.string())) return installed.string();
  fail(Error::Kind::usage,
       {"there are no data/digits here; name a data set by --data, or run nacre where its sources "
        "lie"});
}

std::string free_folder(const std::string& stem) {
  if (!folder_exists(stem) && !file_exists(stem)) return stem;
  for (int n = 2;; ++n) {
    const std::string name = stem + "-" + std::to_string(n);
    if (!folder_exists(name) && !file_exists(name)) return name;
  }
}

std::string data_hint(const Error& e, const std::string& data) {
  const bool file = e.kind() == Error::Kind::data || e.kind() == Error::Kind::io;
  const std::string folder = data.ends_with('/') ? data : data + "/";
  if (!file || data.empty() || !std::string_view(e.what()).starts_with(folder)) return "";
  return cat({"; `nacre data check ", data, "` names all such files"});
}

std::string draw(const Image& image, int columns) {
  std::vector<uint8_t> grey(static_cast<size_t>(image.width) * static_cast<size_t>(image.height));
  const int colours = image.channels >= 3 ? 3 : 1;
  for (size_t i = 0; i < grey.size(); ++i) {
    float v = 0;
    for (int c = 0; c < colours; ++c)
      v += image.pixels[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)];
    grey[i] = static_cast<uint8_t>(
        std::clamp(std::lround(255 * v / static_cast<float>(colours)), 0L, 255L));
  }
  return draw_grey(grey, image.width, image.height, columns, terminal_has_colour(1));
}

}  // namespace nacre::cli
