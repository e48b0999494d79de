#include <algorithm>
#include <cmath>
#include <limits>

#include "nacre/error.h"
#include "nacre/study.h"

namespace nacre {
namespace {

using Kind = SearchDimension::Kind;

/// Numbers become places in [0, 1], evenly or by logarithm; integers own an interval around them.
struct Scale {
  double low, high;
  bool log;
  explicit Scale(const SearchDimension& d) : low(d.low), high(d.high), log(d.log) {
    if (d.kind == Kind::integer) {
      low -= 0.5;
      high += 0.5;
    }
    if (log) {
      low = std::log(low);
      high = std::log(high);
    }
  }
  double place(double v) const {
    const double x = log ? std::log(v) : v;
    return high > low ? std::clamp((x - low) / (high - low), 0.0, 1.0) : 0.5;
  }
  double value(double place) const {
    const double x = low + place * (high - low);
    return log ? std::exp(x) : x;
  }
};

SearchValue value_at(const SearchDimension& d, double place) {
  const double v = std::clamp(Scale(d).value(place), d.low, d.high);
  if (d.kind == Kind::integer)
    return static_cast<int64_t>(std::clamp(std::round(Scale(d).value(place)), d.low, d.high));
  return v;
}

SearchValue draw_any(const SearchDimension& d, Rng& rng) {
  if (d.kind == Kind::choice) return d.words[rng.below(d.words.size())];
  return value_at(d, rng.uniform());
}

Point draw_random(const SearchSpace& space, Rng& rng) {
  Point p;
  const auto& dims = space.dimensions();
  for (size_t i = 0; i < dims.size(); ++i)
    if (space.applies(i, p)) p.values[dims[i].name] = draw_any(dims[i], rng);
  return p;
}

class RandomSampler : public PointSampler {
 public:
  Point draw(const SearchSpace& space, std::span<const Trial>, Key key) const override {
    Rng rng(key);
    return draw_random(space, rng);
  }
};

double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// A density over the space: kernels around observed points, and one that is the even density.
class Density {
 public:
  Density(const SearchSpace& space, std::vector<const Point*> points)
      : space_(space), points_(std::move(points)) {
    const auto n = static_cast<double>(points_.size());
    const auto dims = static_cast<double>(space.dimensions().size());
    // Scott's rule over the unit cube, never so narrow that one point is all there is.
    width_ = std::max(0.2 * std::pow(std::max(1.0, n), -1.0 / (dims + 4)),
                      0.2 / (1 + std::min(100.0, n)));
  }

  Point draw(Rng& rng) const {
    const size_t k = rng.below(points_.size() + 1);
    const Point* centre = k < points_.size() ? points_[k] : nullptr;
    Point p;
    const auto& dims = space_.dimensions();
    for (size_t i = 0; i < dims.size(); ++i) {
      const SearchDimension& d = dims[i];
      if (!space_.applies(i, p)) continue;
      if (!centre || !centre->has(d.name))
        p.values[d.name] = draw_any(d, rng);
      else if (d.kind == Kind::choice)
        p.values[d.name] = rng.uniform() < other_share(d) ? d.words[rng.below(d.words.size())]
                                                          : centre->word(d.name);
      else
        p.values[d.name] = value_at(d, near(Scale(d).place(centre->number(d.name)), rng));
    }
    return p;
  }

  double log_density(const Point& p) const {
    double most = 0;  // of the even kernel
    std::vector<double> logs = {0};
    for (const Point* centre : points_) {
      double sum = 0;
      for (const SearchDimension& d : space_.dimensions()) {
        // Where one of the two lacks the dimension, the kernel is even in it.
        if (!p.has(d.name) || !centre->has(d.name)) continue;
        sum += std::log(kernel(d, *centre, p));
      }
      logs.push_back(sum);
      most = std::max(most, sum);
    }
    double total = 0;
    for (double v : logs) total += std::exp(v - most);
    return most + std::log(total / static_cast<double>(logs.size()));
  }

 private:
  /// Words are taken anew with this probability.
  double other_share(const SearchDimension& d) const {
    const auto n = static_cast<double>(points_.size());
    return static_cast<double>(d.words.size()) / (static_cast<double>(d.words.size()) + n);
  }
  double near(double centre, Rng& rng) const {
    for (int tries = 0; tries < 100; ++tries) {
      const double x = centre + width_ * rng.normal();
      if (x >= 0 && x <= 1) return x;
    }
    return centre;
  }
  /// Relative to the even density.
  double kernel(const SearchDimension& d, const Point& centre, const Point& p) const {
    if (d.kind == Kind::choice) {
      const double other = other_share(d), n = static_cast<double>(d.words.size());
      return other + (centre.word(d.name) == p.word(d.name) ? (1 - other) * n : 0);
    }
    const Scale scale(d);
    const double c = scale.place(centre.number(d.name)), v = p.number(d.name);
    const double inside = normal_below((1 - c) / width_) - normal_below(-c / width_);
    if (d.kind == Kind::integer) {
      const double a = scale.place(v - 0.5), b = scale.place(v + 0.5);
      const double mass = normal_below((b - c) / width_) - normal_below((a - c) / width_);
      return std::max(1e-12, mass / inside / std::max(1e-12, b - a));
    }
    const double z = (scale.place(v) - c) / width_;
    return std::max(1e-12, std::exp(-0.5 * z * z) / (width_ * std::sqrt(2 * M_PI)) / inside);
  }

  const SearchSpace& space_;
  std::vector<const Point*> points_;
  double width_;
};

class TpeSampler : public PointSampler {
 public:
  explicit TpeSampler(const TpeOptions& options) : options_(options) {
    if (options.startup < 1 || options.candidates < 1 || !(options.good_share > 0) ||
        !(options.good_share < 1))
      fail(Error::Kind::usage, {"startup and candidates of TPE should be at least 1 and good_share "
                                "between 0 and 1"});
  }

  Point draw(const SearchSpace& space, std::span<const Trial> trials, Key key) const override {
    Rng rng(key);
    std::vector<const Trial*> seen;
    for (const Trial& t : trials)
      if (t.state == Trial::State::done || t.state == Trial::State::pruned ||
          t.state == Trial::State::failed)
        seen.push_back(&t);
    if (static_cast<int64_t>(seen.size()) < options_.startup) return draw_random(space, rng);
    // Told ones first, by value; then pruned ones, those that came further first; failures last.
    std::stable_sort(seen.begin(), seen.end(), [](const Trial* a, const Trial* b) {
      if (a->state != b->state) return a->state < b->state;
      if (a->state == Trial::State::pruned) {
        const int64_t sa = a->reports.empty() ? 0 : a->reports.back().first,
                      sb = b->reports.empty() ? 0 : b->reports.back().first;
        if (sa != sb) return sa > sb;
      }
      return a->state != Trial::State::failed && a->value < b->value;
    });
    const auto good = static_cast<size_t>(std::clamp<double>(
        std::ceil(options_.good_share * static_cast<double>(seen.size())), 1, 25));
    std::vector<const Point*> low, high;
    for (size_t i = 0; i < seen.size(); ++i) (i < good ? low : high).push_back(&seen[i]->point);
    const Density l(space, low), g(space, high);
    Point best;
    double score = -std::numeric_limits<double>::infinity();
    for (int64_t k = 0; k < options_.candidates; ++k) {
      Point p = l.draw(rng);
      const double s = l.log_density(p) - g.log_density(p);
      if (s > score) {
        score = s;
        best = std::move(p);
      }
    }
    return best;
  }

 private:
  TpeOptions options_;
};

}  // namespace

std::unique_ptr<PointSampler> random_sampler() { return std::make_unique<RandomSampler>(); }
std::unique_ptr<PointSampler> tpe_sampler(const TpeOptions& options) {
  return std::make_unique<TpeSampler>(options);
}
}  // namespace nacre
