// The report of a fit, and the commands that repeat it.
#pragma once

#include "autodl/task.h"
#include "nacre/zoo.h"

namespace nacre {

/// "nacre train cnn --data photos --epochs 12 ... --out FOLDER": all settings that are not usual.
std::string train_command(const TrainConfig& config, const std::string& out);

/// A text as one word of a shell.
std::string quoted(const std::string& text);

/// The predictions of a trial's file, for task.judged(); empty if the file is gone.
std::vector<float> scores_of(const std::string& path);

/// Samples whose label the winner, which has not learned from them, finds very unlikely. `scores`
/// are of task.judged().
Finding suspects(const FitTask& task, const std::vector<float>& scores);

void write_fit_report(const FitResult& result, const FitTask& task, const FitOptions& options,
                      const Model& model, const std::vector<float>& scores);

}  // namespace nacre
