#include <algorithm>
#include <cmath>
#include <map>

#include "autodl/recipes.h"
#include "autodl/trial_run.h"
#include "base/signals.h"

namespace nacre {
namespace {

constexpr int kDraws = 1000;

using Points = std::vector<Point>;

/// Settings of each family that are tried: the usual ones, then others that are drawn.
std::map<std::string, Points> settings_of(const FitTask& task, int64_t wanted, uint64_t seed) {
  std::map<std::string, Points> list;
  const auto add = [&](const Point& p) {
    Points& points = list[p.word("model")];
    if (static_cast<int64_t>(points.size()) < wanted) points.push_back(p);
  };
  for (const auto& [label, point] : first_points(task)) add(point);
  const SearchSpace space = space_of(task);
  const auto sampler = random_sampler();
  for (int i = 0; i < kDraws; ++i)
    add(sampler->draw(space, {}, Key(seed).fold_in("settings").fold_in(static_cast<uint64_t>(i))));
  return list;
}

struct Best {
  Point point;
  double value = 0, inner = 0, outer = 0;
};

enum class End { done, late, stopped };

/// Of each family the best settings by the inner parts, and how good those are on the outer part.
End judge(const FitTask& task, const DatasetPtr& outer, const NestedOptions& options,
          double deadline, std::map<std::string, Best>& found) {
  TrialLimits limits;
  limits.deadline = deadline;
  for (const auto& [family, points] : settings_of(task, options.settings, options.seed))
    for (const Point& point : points) {
      const TrialOutcome out = run_trial(task, config_of(task, point), limits);
      if (out.end == TrialOutcome::End::stopped) return End::stopped;
      if (out.end == TrialOutcome::End::late) return End::late;
      if (out.end != TrialOutcome::End::done) continue;
      const auto at = found.find(family);
      if (at != found.end() && at->second.value <= out.value) continue;
      found[family] = {point, out.value, out.score, 0};
    }
  for (auto& [family, best] : found) {
    Evaluation e;
    TrainConfig config = config_of(task, best.point);
    if (!train_on(learned(task, task.pool), outer, config, deadline, &e))
      return stop_requested() ? End::stopped : End::late;
    best.outer = e.score();
  }
  return End::done;
}

}  // namespace

void NestedOptions::check() const {
  if (outer < 2 || outer > 20 || inner < 2 || inner > 20)
    fail(Error::Kind::usage, {"nested cross-validation has 2 to 20 outer and inner parts, got ",
                              outer, " and ", inner});
  if (settings < 1 || settings > 100)
    fail(Error::Kind::usage, {"1 to 100 settings of a family can be tried, got ", settings});
}

NestedResult nested_choice(const DatasetPtr& rows, const NestedOptions& options) {
  options.check();
  const double deadline = options.seconds > 0 ? steady_seconds() + options.seconds : 1e18;
  const FitTask whole = task_of_rows(rows);
  const Key key = Key(options.seed).fold_in("nested");
  const auto labels = [&](const DatasetPtr& d) {
    return whole.regression ? Indices() : labels_of(*d);
  };
  const auto parts = k_folds(rows->size(), static_cast<int>(options.outer), key, labels(rows));
  NestedResult r;
  struct Sum {
    double inner = 0, outer = 0;
    int64_t parts = 0, chosen = 0;
  };
  std::map<std::string, Sum> sums;
  for (size_t k = 0; k < parts.size(); ++k) {
    Indices rest;
    for (size_t i = 0; i < parts.size(); ++i)
      if (i != k) rest.insert(rest.end(), parts[i].begin(), parts[i].end());
    std::sort(rest.begin(), rest.end());
    FitTask task = task_of_rows(subset(rows, rest));
    task.folds = k_folds(task.pool->size(), static_cast<int>(options.inner), key.fold_in(k),
                         labels(task.pool));
    std::map<std::string, Best> found;
    const End end = judge(task, subset(rows, parts[k]), options, deadline, found);
    r.stopped = end == End::stopped;
    if (end != End::done) break;
    const auto best = std::min_element(
        found.begin(), found.end(),
        [](const auto& a, const auto& b) { return a.second.value < b.second.value; });
    if (best == found.end()) continue;
    ++r.parts;
    r.inner += best->second.inner;
    r.outer += best->second.outer;
    ++sums[best->first].chosen;
    for (const auto& [family, b] : found) {
      Sum& s = sums[family];
      s.inner += b.inner;
      s.outer += b.outer;
      ++s.parts;
    }
  }
  if (r.parts == 0) return r;
  r.inner /= static_cast<double>(r.parts);
  r.outer /= static_cast<double>(r.parts);
  for (const auto& [family, s] : sums) {
    const auto n = static_cast<double>(s.parts);
    r.families.push_back({family, s.inner / n, s.outer / n, s.chosen});
  }
  std::stable_sort(r.families.begin(), r.families.end(), [](const auto& a, const auto& b) {
    return a.chosen != b.chosen ? a.chosen > b.chosen : a.inner > b.inner;
  });
  r.chosen = r.families[0].family;
  return r;
}

}  // namespace nacre
