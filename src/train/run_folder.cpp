#include "train/run_folder.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/json.h"
#include "base/parallel.h"
#include "train/kernel_pictures.h"
#include "train/mistakes.h"
#include "train/report.h"

namespace nacre {
namespace {

constexpr uint64_t kMetricsCap = uint64_t{1} << 30;

}  // namespace

RunFolder::RunFolder(const TrainConfig& config) : folder_(config.out), config_(config) {
  make_folders(folder_);
  lock_ = std::make_unique<FolderLock>(folder_);
  if (config.resume) return;
  for (const std::string& path : {folder_ + "/config.yaml", folder_ + "/metrics.jsonl",
                                  folder_ + "/report.html", model_path(), checkpoint_path()})
    if (file_exists(path))
      fail(Error::Kind::usage, {folder_, " holds a run already (", path,
                                "); add --resume to go on with it, or choose another --out"});
}

void RunFolder::begin(int64_t step, size_t epochs) {
  make_folders(folder_ + "/checkpoints");
  TrainConfig stored = config_;
  stored.resume = false;
  if (!keep_config_) write_file_atomic(folder_ + "/config.yaml", stored.to_yaml());
  const std::string path = folder_ + "/metrics.jsonl";
  if (file_exists(path)) {
    std::stringstream old(read_file(path, kMetricsCap));
    std::string kept;
    for (std::string line; std::getline(old, line);) {
      Json j;
      try {
        j = parse_json(line, path);
      } catch (const Error&) {
        continue;  // a line that a kill cut short
      }
      const bool before = j.has("val_loss")
                              ? j.integer_or("epoch", 0) < static_cast<int64_t>(epochs)
                              : j.integer_or("step", 0) <= step;
      if (!before || j.has("test")) continue;
      kept += line + "\n";
      if (!j.has("val_loss"))
        steps_.push_back({j.integer_or("epoch", 0), j.integer_or("step", 0), j.number_or("loss", 0),
                          j.number_or("lr", 0)});
    }
    write_file_atomic(path, kept);
  }
  metrics_ = std::make_unique<AppendFile>(path);
  events_ = std::make_unique<EventWriter>(folder_);
}

void RunFolder::step(const StepInfo& i) {
  steps_.push_back(i);
  Json j = Json::object();
  j["step"] = i.step;
  j["epoch"] = i.epoch;
  j["loss"] = i.loss;
  j["lr"] = i.lr;
  metrics_->append(print_json(j) + "\n");
  events_->scalar("train/loss", i.loss, i.step);
  events_->scalar("lr", i.lr, i.step);
}

void RunFolder::epoch(const EpochInfo& i) {
  Json j = Json::object();
  j["epoch"] = i.epoch;
  j["step"] = i.step;
  j["train_loss"] = i.train_loss;
  j["val_loss"] = i.val_loss;
  j["val_score"] = i.val_score;
  j["seconds"] = i.seconds;
  metrics_->append(print_json(j) + "\n");
  metrics_->sync();
  if (std::isfinite(i.val_loss)) {
    events_->scalar("val/loss", i.val_loss, i.step);
    events_->scalar("val/score", i.val_score, i.step);
  }
  events_->sync();
}

void RunFolder::finish(const Evaluation& test, const std::string& part, Module& net,
                       const ModelInfo& info, const DatasetPtr& data, const Transform& transform,
                       const std::vector<EpochInfo>& history) {
  Json line = Json::object(), result = Json::object();
  result["loss"] = test.loss;
  if (test.regression) {
    result["rmse"] = test.rmse;
    result["r2"] = test.r2;
  } else {
    result["accuracy"] = test.report.accuracy;
    result["macro_f1"] = test.report.macro.f1;
  }
  line["test"] = result;
  metrics_->append(print_json(line) + "\n");
  metrics_->sync();

  RunReport r;
  r.title = cat({info.model, " on ", config_.data.empty() ? "given data" : config_.data});
  r.subtitle = cat({history.size(), " epochs, ", history.empty() ? 0 : history.back().step,
                    " steps, seed ", config_.seed});
  r.model = info.model;
  if (const std::string warning = test.warning(); !warning.empty()) r.warnings.push_back(warning);
  if (test.regression) {
    r.headline = {{part + " RMSE", Piece(test.rmse).text()}, {"R2", Piece(test.r2).text()}};
  } else {
    r.headline = {{part + " accuracy", percent(test.report.accuracy)},
                  {"Macro F1", Piece(test.report.macro.f1).text()}};
    if (test.classes.size() > 5) r.headline.emplace_back("Top-5", percent(test.top_k(5)));
  }
  r.headline.emplace_back(part + " samples", std::to_string(data->size()));
  r.headline.emplace_back("Parameters", std::to_string(net.parameter_count()));
  Series train{"training", {}, {}}, val{"validation", {}, {}},
      score{test.regression ? "-RMSE" : "accuracy", {}, {}}, lr{"learning rate", {}, {}};
  for (const StepInfo& s : steps_) {
    train.xs.push_back(static_cast<double>(s.step));
    train.ys.push_back(s.loss);
    lr.xs.push_back(static_cast<double>(s.step));
    lr.ys.push_back(s.lr);
  }
  for (const EpochInfo& i : history) {
    val.xs.push_back(static_cast<double>(i.step));
    val.ys.push_back(i.val_loss);
    score.xs.push_back(static_cast<double>(i.step));
    score.ys.push_back(i.val_score);
  }
  r.charts = {
      {"Loss", "step", "loss", {train, val}},
      {test.regression ? "Validation score" : "Validation accuracy", "step", score.name, {score}},
      {"Learning rate", "step", "rate", {lr}}};
  if (!test.regression) {
    r.classes = test.classes;
    r.confusion = test.confusion;
    r.mistakes = worst_mistakes(test, *data);
  }
  Shape input = {1};
  for (int64_t d : info.input) input.push_back(d);
  for (const LayerInfo& l : list_layers(net, input))
    r.layers.push_back({l.path, "", l.output.str(), l.parameters});
  if (const Variable first = first_kernels(net); first.defined()) {
    r.kernels_of = first.name();
    for (const Image& picture : kernel_pictures(first.value()))
      r.kernels.push_back(png_of(picture));
  }
  r.config = config_.to_yaml();
  r.environment = {{"Threads", std::to_string(num_threads())},
                   {"Input", info.input.str()},
                   {"Transform", transform.str()}};
  r.usage = {
      {"Predict", "nacre predict " + model_path() + " picture.png"},
      {"Evaluate again", "nacre eval " + model_path() + " --data " + config_.data},
      {"Train again", "nacre train --config " + folder_ + "/config.yaml --out another-folder"}};
  write_report(folder_ + "/report.html", r);
}

}  // namespace nacre
