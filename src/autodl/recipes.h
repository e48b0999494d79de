// Which settings are tried for what kind of data, and in which order.
#pragma once

#include "autodl/task.h"

namespace nacre {

SearchSpace space_of(const FitTask& task);

/// The point among the first for pictures that is for those who have little time.
inline constexpr const char* kQuickNetwork = "LeNet-5";

/// Points that are tried first: simple models, then usual settings of good ones.
std::vector<std::pair<std::string, Point>> first_points(const FitTask& task);

/// All settings of a trial but for epochs, where those follow from the time (see by_time).
TrainConfig config_of(const FitTask& task, const Point& point);

/// Whether the trial's epochs are chosen by the time it may take.
bool by_time(const FitTask& task, const TrainConfig& config);

/// "rounds" or "trees": the option of a model that can end with fewer of them when the time is up;
/// else "".
std::string counted_option(const std::string& model);

/// The whole number that an option has in "rounds=100 rate=0.1"; 0 if it is not there.
int64_t option_in(const std::string& options, const std::string& name);
/// The same options with another value of one.
std::string with_option(const std::string& options, const std::string& name, int64_t value);

}  // namespace nacre
