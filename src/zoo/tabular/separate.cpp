#include "zoo/tabular/separate.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/signals.h"

namespace nacre {
namespace {

constexpr double kTolerance = 0.01;  // of the gradient of the dual
constexpr int64_t kFolds = 3;
constexpr double kLeastFactor = 0.05, kMostFactor = 50;

/// The numbers of rows that are not 0.
struct SparseRows {
  struct Entry {
    int32_t column;
    float value;
  };
  std::vector<size_t> start = {0};
  std::vector<Entry> entries;
  explicit SparseRows(const FitData& d) {
    for (int64_t r = 0; r < d.rows; ++r) {
      const float* x = &d.x[static_cast<size_t>(r * d.columns)];
      for (int64_t c = 0; c < d.columns; ++c)
        if (x[c] != 0) entries.push_back({static_cast<int32_t>(c), x[c]});
      start.push_back(entries.size());
    }
  }
  /// Of a row and the weights with the bias at their end.
  double product(int64_t row, const std::vector<double>& w) const {
    double sum = w.back();
    for (size_t k = start[static_cast<size_t>(row)]; k < start[static_cast<size_t>(row) + 1]; ++k)
      sum += static_cast<double>(entries[k].value) * w[static_cast<size_t>(entries[k].column)];
    return sum;
  }
  void add(int64_t row, double factor, std::vector<double>& w) const {
    w.back() += factor;
    for (size_t k = start[static_cast<size_t>(row)]; k < start[static_cast<size_t>(row) + 1]; ++k)
      w[static_cast<size_t>(entries[k].column)] += factor * static_cast<double>(entries[k].value);
  }
  double square(int64_t row) const {
    double sum = 1;
    for (size_t k = start[static_cast<size_t>(row)]; k < start[static_cast<size_t>(row) + 1]; ++k)
      sum += static_cast<double>(entries[k].value) * static_cast<double>(entries[k].value);
    return sum;
  }
};

/// Weights, with the bias at their end, of the plane between one class and the others.
std::vector<double> plane(const FitData& d, const SparseRows& x, const Indices& rows, int64_t own,
                          double c, int64_t passes) {
  std::vector<double> w(static_cast<size_t>(d.columns) + 1, 0.0), alpha(rows.size(), 0.0);
  std::vector<double> square;
  for (const int64_t r : rows) square.push_back(x.square(r));
  std::vector<size_t> order(rows.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  Rng rng(Key(d.seed).fold_in("planes").fold_in(static_cast<uint64_t>(own)));
  for (int64_t pass = 0; pass < passes; ++pass) {
    if (stop_requested()) return w;
    double most = -1e300, least = 1e300;
    for (size_t k = 0; k < order.size(); ++k) {
      std::swap(order[k], order[k + rng.below(order.size() - k)]);
      const size_t i = order[k];
      const auto r = static_cast<size_t>(rows[i]);
      const double y = d.labels[r] == own ? 1 : -1;
      const double cost = c * (d.weights.empty() ? 1.0 : static_cast<double>(d.weights[r]));
      if (!(cost > 0)) continue;
      const double slack = 0.5 / cost;
      const double g = y * x.product(rows[i], w) - 1 + slack * alpha[i];
      const double uphill = alpha[i] > 0 ? g : std::min(g, 0.0);
      most = std::max(most, uphill);
      least = std::min(least, uphill);
      if (uphill == 0) continue;
      const double next = std::max(0.0, alpha[i] - g / (square[i] + slack));
      x.add(rows[i], (next - alpha[i]) * y, w);
      alpha[i] = next;
    }
    if (most - least < kTolerance) break;
  }
  return w;
}

/// Of each class. Of two, one is the other turned round.
std::vector<std::vector<double>> planes(const FitData& d, const SparseRows& x, const Indices& rows,
                                        double c, int64_t passes) {
  std::vector<std::vector<double>> all(static_cast<size_t>(d.outputs));
  const bool two = d.outputs == 2;
  parallel_for(two ? 1 : d.outputs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)
      all[static_cast<size_t>(k)] = plane(d, x, rows, k, c, passes);
  });
  check_stop();
  if (two) {
    all[1] = all[0];
    for (double& v : all[1]) v = -v;
  }
  return all;
}

/// Mean log loss of softmax of factor times the scores [rows, classes].
double loss_with(double factor, const std::vector<double>& scores, const Indices& labels,
                 size_t classes) {
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double* s = &scores[i * classes];
    const double most = *std::max_element(s, s + classes);
    double total = 0;
    for (size_t k = 0; k < classes; ++k) total += std::exp(factor * (s[k] - most));
    sum += std::log(total) - factor * (s[labels[i]] - most);
  }
  return sum / static_cast<double>(labels.size());
}

/// The loss has one minimum in the factor, as it is convex there.
double best_factor(const std::vector<double>& scores, const Indices& labels, size_t classes) {
  double low = std::log(kLeastFactor), high = std::log(kMostFactor);
  for (int step = 0; step < 40; ++step) {
    const double a = low + (high - low) * 0.382, b = low + (high - low) * 0.618;
    if (loss_with(std::exp(a), scores, labels, classes) <
        loss_with(std::exp(b), scores, labels, classes))
      high = b;
    else
      low = a;
  }
  return std::exp((low + high) / 2);
}

}  // namespace

Separators separate(const FitData& d, double c, int64_t passes) {
  const SparseRows x(d);
  const auto classes = static_cast<size_t>(d.outputs), columns = static_cast<size_t>(d.columns);
  Indices every(static_cast<size_t>(d.rows));
  for (size_t i = 0; i < every.size(); ++i) every[i] = static_cast<int64_t>(i);
  double factor = 1;
  if (d.rows >= 2 * kFolds) {
    std::vector<double> scores;
    Indices labels;
    const auto folds = k_folds(d.rows, kFolds, Key(d.seed).fold_in("planes"), d.labels);
    for (Indices fold : folds) {
      std::sort(fold.begin(), fold.end());
      Indices rest;
      std::set_difference(every.begin(), every.end(), fold.begin(), fold.end(),
                          std::back_inserter(rest));
      const auto found = planes(d, x, rest, c, passes);
      for (const int64_t r : fold) {
        for (const auto& w : found) scores.push_back(x.product(r, w));
        labels.push_back(d.labels[static_cast<size_t>(r)]);
      }
    }
    factor = best_factor(scores, labels, classes);
  }
  Separators s;
  for (const auto& w : planes(d, x, every, c, passes)) {
    for (size_t k = 0; k < columns; ++k) s.weight.push_back(static_cast<float>(factor * w[k]));
    s.bias.push_back(static_cast<float>(factor * w.back()));
  }
  return s;
}

}  // namespace nacre
