// Labels, signals and columns that are looked at one by one.
#include "nacre/screening.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nacre/error.h"

namespace nacre {
namespace {

double median_of(std::vector<double> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

/// The continued fraction of the incomplete beta function (Lentz's method).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 / std::max(kTiny, std::fabs(1 - (a + b) * x / (a + 1))), h = d;
  if (1 - (a + b) * x / (a + 1) < 0) h = d = -d;
  for (int m = 1; m < 500; ++m) {
    double last = h;
    for (const bool odd : {false, true}) {
      const double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                           : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 + k * d;
      c = 1 + k / c;
      if (std::fabs(d) < kTiny) d = kTiny;
      if (std::fabs(c) < kTiny) c = kTiny;
      d = 1 / d;
      h *= d * c;
    }
    if (std::fabs(h - last) < 1e-14 * std::fabs(h)) break;
  }
  return h;
}

/// The regularised incomplete beta function.
double beta_share(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/// The probability of a larger F.
double f_tail(double f, double between, double within) {
  return f <= 0 ? 1 : beta_share(within / 2, between / 2, within / (within + between * f));
}

}  // namespace

std::vector<int64_t> find_jumps(std::span<const double> signal, double threshold) {
  constexpr int64_t kCoarsest = 16;
  const auto n = static_cast<int64_t>(signal.size());
  std::vector<int64_t> found;
  if (n < 2 * kCoarsest) return found;
  std::vector<double> sums(signal.size() + 1, 0.0), steps;
  for (size_t i = 0; i < signal.size(); ++i) {
    if (!std::isfinite(signal[i]))
      fail(Error::Kind::usage, {"sample ", i, " of the signal is ", signal[i]});
    sums[i + 1] = sums[i] + signal[i];
    if (i > 0) steps.push_back(std::fabs(signal[i] - signal[i - 1]));
  }
  // The median of |differences| of normal noise is 0.6745 * sqrt(2) deviations.
  const double noise = std::max(1e-12, median_of(steps) / (0.6745 * std::sqrt(2.0)));
  // The mean of `scale` samples from t on less that of those before, in standard errors.
  const auto wavelet = [&](int64_t t, int64_t scale) {
    if (t < scale || t + scale > n) return 0.0;
    const auto at = [&](int64_t i) { return sums[static_cast<size_t>(i)]; };
    return (at(t + scale) - 2 * at(t) + at(t - scale)) / static_cast<double>(scale) /
           (noise * std::sqrt(2.0 / static_cast<double>(scale)));
  };
  std::vector<std::pair<double, int64_t>> maxima;
  for (int64_t t = kCoarsest; t + kCoarsest <= n; ++t)
    if (const double w = std::fabs(wavelet(t, kCoarsest)); w >= threshold)
      maxima.emplace_back(-w, t);
  std::sort(maxima.begin(), maxima.end());
  std::vector<int64_t> coarse;
  for (const auto& [w, t] : maxima) {
    const auto near = [t = t](int64_t other) { return std::abs(other - t) < kCoarsest; };
    if (std::none_of(coarse.begin(), coarse.end(), near)) coarse.push_back(t);
  }
  for (int64_t t : coarse) {
    const bool up = wavelet(t, kCoarsest) > 0;
    for (int64_t scale = kCoarsest / 2; scale >= 4; scale /= 2) {
      int64_t best = t;
      for (int64_t u = t - scale; u <= t + scale; ++u)
        if ((up ? 1 : -1) * wavelet(u, scale) > (up ? 1 : -1) * wavelet(best, scale)) best = u;
      t = best;
    }
    found.push_back(t);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<int64_t> label_suspects(std::span<const int64_t> labels,
                                    std::span<const float> probabilities, int64_t classes) {
  const auto k = static_cast<size_t>(std::max<int64_t>(classes, 0));
  if (classes < 2 || probabilities.size() != labels.size() * k)
    fail(Error::Kind::usage, {labels.size(), " labels of ", classes, " classes and ",
                              probabilities.size(), " probabilities do not fit together"});
  std::vector<double> sum(k, 0.0), count(k, 0.0);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes)
      fail(Error::Kind::usage, {"sample ", i, " has the class ", labels[i], " of ", classes});
    const auto own = static_cast<size_t>(labels[i]);
    sum[own] += probabilities[i * k + own];
    ++count[own];
  }
  std::vector<std::pair<double, int64_t>> suspects;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto own = static_cast<size_t>(labels[i]);
    double most = 0;
    for (size_t c = 0; c < k; ++c) {
      const double p = probabilities[i * k + c];
      if (c != own && count[c] > 0 && p >= sum[c] / count[c]) most = std::max(most, p);
    }
    const double margin = most - probabilities[i * k + own];
    if (most > 0 && margin > 0) suspects.emplace_back(-margin, static_cast<int64_t>(i));
  }
  std::sort(suspects.begin(), suspects.end());
  std::vector<int64_t> list;
  for (const auto& [margin, i] : suspects) list.push_back(i);
  return list;
}

std::vector<int64_t> select_columns(std::span<const float> x, int64_t columns,
                                    std::span<const float> targets, bool classes, double q) {
  const auto width = static_cast<size_t>(std::max<int64_t>(columns, 0)), rows = targets.size();
  if (width == 0 || rows < 3 || x.size() != rows * width || !(q > 0 && q < 1))
    fail(Error::Kind::usage,
         {x.size(), " numbers, ", columns, " columns, ", rows,
          " targets and a share of false discoveries of ", q, " do not fit together"});
  std::vector<std::pair<double, int64_t>> p;
  for (size_t c = 0; c < width; ++c) {
    double n = 0, mean = 0, squares = 0, target = 0, target_squares = 0, product = 0;
    std::vector<std::pair<float, std::pair<double, double>>> groups;  // class, rows and sum
    for (size_t r = 0; r < rows; ++r) {
      const double v = x[r * width + c], t = targets[r];
      if (std::isnan(v)) continue;
      ++n;  // Welford's recurrences
      const double d = v - mean, e = t - target;
      mean += d / n;
      target += e / n;
      squares += d * (v - mean);
      target_squares += e * (t - target);
      product += d * (t - target);
      if (!classes) continue;
      const auto found = std::find_if(groups.begin(), groups.end(),
                                      [&](const auto& g) { return g.first == targets[r]; });
      auto& group =
          found == groups.end() ? groups.emplace_back(targets[r], std::pair{0.0, 0.0}) : *found;
      ++group.second.first;
      group.second.second += v;
    }
    double between = 0, parts = 1;
    if (classes) {
      for (const auto& [label, g] : groups)
        between += (g.second / g.first - mean) * (g.second / g.first - mean) * g.first;
      parts = static_cast<double>(groups.size()) - 1;
    } else if (target_squares > 0) {
      between = product * product / target_squares;
    }
    const double rest = n - parts - 1, within = std::max(squares - between, 1e-12 * squares);
    const bool usable = parts >= 1 && rest >= 1 && squares > 0;
    p.emplace_back(usable ? f_tail(between / parts / (within / rest), parts, rest) : 1.0,
                   static_cast<int64_t>(c));
  }
  std::sort(p.begin(), p.end());
  size_t kept = 1;
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i].first <= q * static_cast<double>(i + 1) / static_cast<double>(p.size())) kept = i + 1;
  std::vector<int64_t> list;
  for (size_t i = 0; i < kept; ++i) list.push_back(p[i].second);
  std::sort(list.begin(), list.end());
  return list;
}

std::vector<int64_t> select_columns(const Dataset& dataset, double q) {
  std::vector<float> x, targets;
  int64_t columns = 0;
  const bool classes = !dataset.classes().empty();
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Sample s = dataset.get(i);
    columns = static_cast<int64_t>(s.features.size());
    x.insert(x.end(), s.features.begin(), s.features.end());
    targets.push_back(classes            ? static_cast<float>(s.label)
                      : s.target.empty() ? std::nanf("")
                                         : s.target[0]);
  }
  return select_columns(x, columns, targets, classes, q);
}

std::string fit_columns(const Dataset& dataset, double q) {
  std::string list;
  for (const int64_t c : select_columns(dataset, q))
    list += (list.empty() ? "" : ",") + std::to_string(c);
  return "columns([" + list + "])";
}

}  // namespace nacre
