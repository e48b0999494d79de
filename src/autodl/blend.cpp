#include "autodl/blend.h"

namespace nacre {
namespace {

constexpr int kPicks = 12, kMostMembers = 5;
constexpr double kWorth = 0.99;

}  // namespace

std::vector<double> blend(const FitTask& task, const std::vector<Candidate>& all, double seconds) {
  std::vector<double> best_weights(all.size(), 0.0);
  if (all.empty()) return best_weights;
  best_weights[0] = 1;
  const size_t n = all[0].scores.size();
  const double alone = objective(task, all[0].scores);
  double best = alone;
  std::vector<int> picks(all.size(), 0);
  picks[0] = 1;
  std::vector<float> sum = all[0].scores;
  for (int count = 2; count <= kPicks; ++count) {
    size_t chosen = all.size();
    double least = 0;
    std::vector<float> mean(n), least_sum;
    for (size_t k = 0; k < all.size(); ++k) {
      int members = 0;
      uint64_t bytes = 0;
      double latency = 0, testing = 0;
      for (size_t i = 0; i < all.size(); ++i)
        if (picks[i] > 0 || i == k) {
          ++members;
          bytes += all[i].bytes;
          latency += all[i].latency;
          testing += all[i].testing;
        }
      const FitOptions& o = task.options;
      if (members > kMostMembers || (o.size_limit && bytes > o.size_limit) ||
          (o.latency_limit > 0 && latency > o.latency_limit) || testing > seconds ||
          all[k].scores.size() != n)
        continue;
      for (size_t i = 0; i < n; ++i)
        mean[i] = (sum[i] + all[k].scores[i]) / static_cast<float>(count);
      const double value = objective(task, mean);
      if (chosen < all.size() && value >= least) continue;
      least = value;
      chosen = k;
    }
    if (chosen == all.size()) break;
    ++picks[chosen];
    for (size_t i = 0; i < n; ++i) sum[i] += all[chosen].scores[i];
    if (least < best && least < kWorth * alone) {
      best = least;
      for (size_t i = 0; i < all.size(); ++i)
        best_weights[i] = static_cast<double>(picks[i]) / count;
    }
  }
  return best_weights;
}

}  // namespace nacre
