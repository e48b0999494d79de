#pragma once

#include <string>

#include "zoo/tabular/trees.h"

namespace nacre::tabular {

/// The trees of a model that XGBoost saved as JSON, without its base score, at most that many.
/// Throws Error(data).
TreeTables read_xgboost(const std::string& json, int64_t most_trees = INT64_MAX);

}  // namespace nacre::tabular
