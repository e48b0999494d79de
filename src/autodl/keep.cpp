#include "autodl/keep.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "autodl/recipes.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr double kWithin = 0.01 + 1e-9;

/// The values of a point that say how its model is built. Roughly: 399 trees are no other structure
/// than 400, numbers count as equal that differ by less than about a fifth.
Point built(const Point& point, bool roughly) {
  static const std::set<std::string> parts = {"model",    "widths", "pool",     "blocks",
                                              "width",    "k",      "weighted", "trees",
                                              "min_leaf", "rounds", "depth",    "hidden"};
  Point p;
  for (const auto& [name, value] : point.values) {
    if (!parts.count(name)) continue;
    const auto* n = std::get_if<int64_t>(&value);
    p.values[name] = value;
    if (n && roughly)
      p.values[name] =
          int64_t{std::llround(2 * std::log2(static_cast<double>(std::max<int64_t>(1, *n))))};
  }
  return p;
}

}  // namespace

std::string group_of(const FitTask& task, const Point& point) {
  std::string text = point.has("size") ? point.word("size") : "";
  if (point.word("model") == "from") text += cat({task.from_width, "x", task.from_height});
  if (point.word("model") == "lenet5") text += "32x32";
  text += point.has("look") ? point.word("look") : "plain";
  text += point.has("features") ? point.word("features") : "all";
  if (task.texts && find_model(config_of(task, point).model).missing) text += " as it is";
  return text;
}

std::string structure_of(const Point& point) {
  Point p = built(point, false);
  std::string text = p.word("model");
  p.values.erase("model");
  return p.values.empty() ? text : text + " " + p.str();
}

std::vector<Trial> distinct_trials(const FitTask& task, const std::vector<Trial>& ranked,
                                   const std::function<double(const Trial&)>& score, int64_t most) {
  // Of values: R2, as the value of a trial is the RMSE in deviations of the target.
  const auto goodness = [&](const Trial& t) {
    return task.regression ? 1 - t.value * t.value : score(t);
  };
  double best = -1e300;
  for (const Trial& t : ranked) best = std::max(best, goodness(t));
  std::vector<Trial> list;
  std::set<std::string> seen;
  for (const Trial& t : ranked) {
    if (static_cast<int64_t>(list.size()) >= most) break;
    if (goodness(t) < best - kWithin || group_of(task, t.point) != group_of(task, ranked[0].point))
      continue;
    if (seen.insert(built(t.point, true).str()).second) list.push_back(t);
  }
  return list;
}

}  // namespace nacre
