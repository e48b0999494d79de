#include <algorithm>
#include <cmath>
#include <limits>

#include "nacre/error.h"
#include "nacre/study.h"

namespace nacre {
namespace {

class NoPruner : public Pruner {
 public:
  bool prune(const Trial&, std::span<const Trial>) const override { return false; }
};

double value_at_step(const Trial& t, int64_t step) {
  for (const auto& [s, v] : t.reports)
    if (s == step) return v;
  return std::numeric_limits<double>::quiet_NaN();
}

/// Whether the trial is among the best 1/factor of those of `peers` that reported at this step.
bool survives(const Trial& trial, std::span<const Trial> trials, int64_t step, int64_t factor,
              const std::function<bool(const Trial&)>& peer) {
  const double mine = value_at_step(trial, step);
  if (!std::isfinite(mine)) return false;
  int64_t all = 0, better = 0;
  for (const Trial& t : trials) {
    if (!peer(t)) continue;
    const double v = t.number == trial.number ? mine : value_at_step(t, step);
    if (std::isnan(v)) continue;
    ++all;
    better += v < mine;
  }
  return better < std::max<int64_t>(1, all / factor);
}

bool is_rung(int64_t step, int64_t least, int64_t factor) {
  int64_t rung = least;
  while (rung < step) rung *= factor;
  return rung == step;
}

void check_factor(int64_t least, int64_t factor) {
  if (least < 1 || factor < 2)
    fail(Error::Kind::usage,
         {"halving needs a first step of at least 1 and a factor of at least 2, "
          "got ",
          least, " and ", factor});
}

class AshaPruner : public Pruner {
 public:
  AshaPruner(int64_t least, int64_t factor) : least_(least), factor_(factor) {
    check_factor(least, factor);
  }
  bool prune(const Trial& trial, std::span<const Trial> trials) const override {
    if (trial.reports.empty()) return false;
    const int64_t step = trial.reports.back().first;
    return is_rung(step, least_, factor_) &&
           !survives(trial, trials, step, factor_, [](const Trial&) { return true; });
  }

 private:
  int64_t least_, factor_;
};

class HyperbandPruner : public Pruner {
 public:
  HyperbandPruner(int64_t least, int64_t most, int64_t factor) : factor_(factor) {
    check_factor(least, factor);
    if (most < least)
      fail(Error::Kind::usage, {"hyperband needs a last step of at least the first, got ", most});
    for (int64_t step = least; step <= most; step *= factor) firsts_.push_back(step);
    // Bracket s of Hyperband starts ceil((s_max + 1) / (s + 1) * factor^s) trials.
    const auto count = static_cast<int64_t>(firsts_.size());
    for (int64_t k = 0; k < count; ++k) {
      const int64_t s = count - 1 - k;
      const double n = std::ceil(static_cast<double>(count) / static_cast<double>(s + 1) *
                                 std::pow(static_cast<double>(factor), static_cast<double>(s)));
      turns_.insert(turns_.end(), static_cast<size_t>(n), k);
    }
  }
  bool prune(const Trial& trial, std::span<const Trial> trials) const override {
    if (trial.reports.empty()) return false;
    const int64_t step = trial.reports.back().first, mine = bracket(trial);
    return is_rung(step, firsts_[static_cast<size_t>(mine)], factor_) &&
           !survives(trial, trials, step, factor_,
                     [&](const Trial& t) { return bracket(t) == mine; });
  }

 private:
  int64_t bracket(const Trial& t) const {
    return turns_[static_cast<size_t>(t.number) % turns_.size()];
  }
  int64_t factor_;
  std::vector<int64_t> firsts_, turns_;
};

}  // namespace

std::unique_ptr<Pruner> no_pruner() { return std::make_unique<NoPruner>(); }
std::unique_ptr<Pruner> asha_pruner(int64_t least, int64_t factor) {
  return std::make_unique<AshaPruner>(least, factor);
}
std::unique_ptr<Pruner> hyperband_pruner(int64_t least, int64_t most, int64_t factor) {
  return std::make_unique<HyperbandPruner>(least, most, factor);
}

}  // namespace nacre
