// Models that are fitted to rows at once: trees, support vectors, neighbours, linear scores.
//
//   FitData data = fit_data(*splits.train, transform);
//   FittedModel m = fit_model("boosted_trees", "rounds=200", data);
//   Tensor y = m.net->operator()(x, ctx);            // as any other model
//
// Trainer does this for the models that have ModelEntry::fit, so `nacre train boosted_trees --data
// table.csv` works as for networks. A fitted model is a Module: XGBoost and LIBSVM, which find the
// trees and the support vectors, are not needed to run it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/data.h"
#include "nacre/zoo.h"

namespace nacre {

/// Rows to fit a model to, as they are after the transform.
struct FitData {
  std::vector<float> x;  ///< [rows, columns]; NaN is a missing value
  int64_t rows = 0, columns = 0;
  std::vector<int64_t> labels;  ///< class of each row; empty for values
  std::vector<float> targets;   ///< [rows, outputs] values to predict; empty for classes
  int64_t outputs = 0;          ///< classes, or values of a row
  std::vector<float> weights;   ///< of each row; empty: all are 1
  uint64_t seed = 0;            ///< of what is random in the fit
  /// Asked between the rounds or trees of boosted_trees and random_forest: true ends the fit with
  /// those that there are, at least one. Other models have nothing to give before their end.
  std::function<bool()> enough = {};
  bool values() const { return labels.empty(); }
};

/// All samples of a data set after a transform; pictures become rows of pixels. Throws Error(data)
/// for samples that are neither pictures nor rows, Error(memory) for more than 8 GiB of numbers.
FitData fit_data(const Dataset& dataset, const Transform& transform);

/// Weights that give each class the same share: rows / (classes * rows of the class).
std::vector<float> balanced_weights(const std::vector<int64_t>& labels, int64_t classes);

/// What a fit finds.
struct Fitted {
  /// Sizes that the data decide, over the options given. After an early end (FitData::enough) also
  /// the rounds or trees that there were time for, with which the same fit ends by itself.
  std::string options;
  std::vector<std::pair<std::string, Tensor>> values;  ///< of the model's variables, by name
};

struct FittedModel {
  std::string options;  ///< all of them
  std::unique_ptr<Module> net;
  Scope scope;  ///< that net was made from
};

/// Fits a model of the zoo. Its options for the data (in, classes, values) are set here. `held_out`
/// rows decide when boosting stops. The same data, seed and number of threads give the same bits.
/// Throws Error(usage) for a model that is trained by steps, Error(data) for rows it cannot take.
FittedModel fit_model(std::string_view name, std::string_view options, const FitData& data,
                      const FitData* held_out = nullptr);

}  // namespace nacre
