#include <algorithm>
#include <cmath>

#include "explain/table.h"

namespace nacre::explain {
namespace {

/// Values of a number to look at, in order.
std::vector<float> places(std::vector<float> values, int64_t points) {
  std::erase_if(values, [](float v) { return std::isnan(v); });
  std::sort(values.begin(), values.end());
  std::vector<float> distinct = values;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  if (static_cast<int64_t>(distinct.size()) <= points) return distinct;
  const auto quantile = [&](double q) {  // linear between values, as NumPy has it
    const double at = q * static_cast<double>(values.size() - 1);
    const auto i = static_cast<size_t>(at);
    const float next = values[std::min(i + 1, values.size() - 1)];
    return values[i] + static_cast<float>(at - static_cast<double>(i)) * (next - values[i]);
  };
  const float low = quantile(0.05), high = quantile(0.95);
  std::vector<float> list;
  for (int64_t k = 0; k < points; ++k)
    list.push_back(low + (high - low) * static_cast<float>(k) /
                             static_cast<float>(std::max<int64_t>(1, points - 1)));
  return list;
}

}  // namespace

Dependence partial_dependence(const Scores& f, const Tensor& x, const Column& column,
                              int64_t points) {
  check_table("partial_dependence", x, {column});
  if (points < 1)
    fail(Error::Kind::usage, {"[partial_dependence] points is ", points, ", at least 1 is needed"});
  NoGrad guard;
  const auto rows = static_cast<size_t>(x.size(0)), features = static_cast<size_t>(x.size(1));
  const auto first = static_cast<size_t>(column.first);
  auto values = x.to_vector<float>();
  Dependence d{column.name, {}, column.categories, {}};
  std::vector<float> at;
  if (column.categories.empty()) {
    for (size_t r = 0; r < rows; ++r) at.push_back(values[r * features + first]);
    at = places(std::move(at), points);
  } else {
    for (size_t k = 0; k < column.categories.size(); ++k) at.push_back(static_cast<float>(k));
  }
  for (float v : at) {
    for (size_t r = 0; r < rows; ++r) {
      float* const cells = &values[r * features + first];
      if (column.categories.empty())
        cells[0] = v;
      else
        for (size_t k = 0; k < column.categories.size(); ++k)
          cells[k] = static_cast<float>(k) == v ? 1.f : 0.f;
    }
    d.at.push_back(v);
    d.mean.push_back(mean(f(Tensor::from(values, x.shape())), {0}).to_vector<double>());
  }
  return d;
}

}  // namespace nacre::explain
