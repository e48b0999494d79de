// Many models of one search: nearly as good as the best, and built differently.
#pragma once

#include "autodl/task.h"

namespace nacre {

/// What models of an ensemble have to have in common: the steps before the network.
std::string group_of(const FitTask& task, const Point& point);

/// What the model of a point is, without how it is trained: "mlp hidden=64".
std::string structure_of(const Point& point);

/// The best trials of different structures, at most so many, that are within a hundredth (of the
/// accuracy, or of R2) of the best of all and go together. `ranked` is best first.
std::vector<Trial> distinct_trials(const FitTask& task, const std::vector<Trial>& ranked,
                                   const std::function<double(const Trial&)>& score, int64_t most);

}  // namespace nacre
