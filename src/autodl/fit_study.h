// What a fit keeps in its study: how it was begun, its trials, the family that it chose.
#pragma once

#include "autodl/task.h"
#include "base/json.h"

namespace nacre {

/// The folder that a file is in.
std::string folder_of(const std::string& path);

Json settings_json(const FitOptions& options);
FitOptions options_of(const Json& settings);

/// What all trials of a study must have in common.
std::string about_of(const FitTask& task);

/// "rows of 3 classes in 'kind'".
std::string task_words(const FitTask& task);

/// A trial as the leaderboard shows it.
FitTrial shown(const Trial& trial);

Json nested_json(const NestedResult& result);
NestedResult nested_from(const Json& json);

/// TPE with wishes of a fit.
class FitSampler : public PointSampler {
 public:
  std::string family;  ///< points of this family of models only; empty: any
  bool wide = false;   ///< every second point is drawn evenly, so that many structures are tried
  Point draw(const SearchSpace& space, std::span<const Trial> trials, Key key) const override;

 private:
  std::unique_ptr<PointSampler> search_ = tpe_sampler({8, 0.2, 32}), even_ = random_sampler();
};

}  // namespace nacre
