// Planes between each class and the others: linear support vector machines.
#pragma once

#include "nacre/tabular.h"

namespace nacre {

struct Separators {
  std::vector<float> weight, bias;  ///< [classes, columns], [classes]
};

/// For each class the least of |w|^2 / 2 + c * sum of max(0, 1 - y (w x + b))^2 with the bias as
/// the weight of a column of ones, by dual coordinate descent (Hsieh et al., ICML 2008), which
/// looks at the numbers of a row that are not 0. All are then multiplied by the factor that makes
/// softmax of the scores the best probabilities for rows that were held out.
Separators separate(const FitData& data, double c, int64_t passes);

}  // namespace nacre
