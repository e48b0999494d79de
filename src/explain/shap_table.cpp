#include "explain/scores.h"
#include "explain/table.h"

namespace nacre::explain {

std::vector<double> shap(const Scores& f, const Tensor& row, int64_t class_index,
                         const Tensor& background, const std::vector<Column>& columns,
                         const ShapleyOptions& options) {
  check_table("shap", background, columns);
  if (row.shape() != Shape({1, background.size(1)}))
    fail(Error::Kind::shape, {"[shap] the row has shape ", row.shape(), ", the background ",
                              background.shape(), "; as many features are needed"});
  NoGrad guard;
  const auto rows = static_cast<size_t>(background.size(0));
  const auto features = static_cast<size_t>(background.size(1));
  const auto own = row.to_vector<float>(), others = background.to_vector<float>();
  const Game game = [&](const std::vector<std::vector<bool>>& coalitions) {
    std::vector<float> values;
    values.reserve(coalitions.size() * others.size());
    for (const auto& in : coalitions) {
      const auto at = static_cast<ptrdiff_t>(values.size());
      values.insert(values.end(), others.begin(), others.end());
      for (size_t c = 0; c < columns.size(); ++c) {
        if (!in[c]) continue;
        for (size_t r = 0; r < rows; ++r)
          for (int64_t j = columns[c].first; j < columns[c].first + columns[c].count; ++j)
            values[static_cast<size_t>(at) + r * features + static_cast<size_t>(j)] =
                own[static_cast<size_t>(j)];
      }
    }
    const auto n = static_cast<int64_t>(coalitions.size() * rows);
    const Tensor scores =
        class_scores(f, Tensor::from(values, {n, background.size(1)}), {class_index});
    return mean(reshape(scores, {static_cast<int64_t>(coalitions.size()), -1}), {1})
        .to_vector<double>();
  };
  return shapley(game, static_cast<int64_t>(columns.size()), options);
}

}  // namespace nacre::explain
