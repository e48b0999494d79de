// The folder of a run: what is written there, and when.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "nacre/formats.h"
#include "nacre/train.h"

namespace nacre {

class RunFolder {
 public:
  /// Makes and locks the folder; nothing in it changes before begin(). Throws Error(usage) if it
  /// holds a run, or a part of one, and config.resume is not set, and Error(io) if another process
  /// is at work there.
  explicit RunFolder(const TrainConfig& config);

  static std::string checkpoint_path(const std::string& folder) {
    return folder + "/checkpoints/last.safetensors";
  }
  std::string checkpoint_path() const { return checkpoint_path(folder_); }
  /// The one before, for when the last is damaged.
  static std::string previous_path(const std::string& folder) {
    return folder + "/checkpoints/previous.safetensors";
  }
  std::string previous_path() const { return previous_path(folder_); }
  std::string model_path() const { return folder_ + "/model.safetensors"; }

  /// config.yaml stays as it is: nothing will be trained with other settings.
  void keep_config() { keep_config_ = true; }
  /// Starts, or goes on, to write, beginning with config.yaml: lines of metrics.jsonl after that
  /// step (left by a killed process) are dropped.
  void begin(int64_t step, size_t epochs);
  void step(const StepInfo& info);
  void epoch(const EpochInfo& info);
  /// Test results and report.html.
  /// `part` says what `data` are: "Test", "Validation", "Training".
  void finish(const Evaluation& test, const std::string& part, Module& net, const ModelInfo& info,
              const DatasetPtr& data, const Transform& transform,
              const std::vector<EpochInfo>& history);

 private:
  std::string folder_;
  TrainConfig config_;
  bool keep_config_ = false;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<AppendFile> metrics_;
  std::unique_ptr<EventWriter> events_;
  std::vector<StepInfo> steps_;  // for the report
};

}  // namespace nacre
