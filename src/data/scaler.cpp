#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "nacre/error.h"
#include "nacre/transforms.h"

namespace nacre {
namespace {

constexpr std::string_view kScalerNames[] = {"min_max", "z_score", "robust", "unit_norm"};

/// The value at a part of the sorted list, linear between neighbours.
double quantile(const std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

std::string list_of(const std::vector<double>& values) {
  std::string text = "[";
  for (const double v : values) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof(digits), v);
    text += (text.size() > 1 ? "," : "") + std::string(digits, end.ptr);
  }
  return text + "]";
}

}  // namespace

Scaler::Kind scaler_from_name(std::string_view name) {
  for (int i = 0; i < 4; ++i)
    if (kScalerNames[i] == name) return static_cast<Scaler::Kind>(i);
  fail(Error::Kind::usage,
       {"scaler '", name, "' is not one of min_max, z_score, robust, unit_norm"});
}

void Scaler::fit(std::span<const double> rows, int64_t columns) {
  if (columns < 1 || rows.size() % static_cast<size_t>(columns) != 0 ||
      (columns_ != 0 && columns_ != columns))
    fail(Error::Kind::shape,
         {"[Scaler] ", rows.size(), " values do not fit into rows of ", columns, " columns",
          columns_ ? cat({" (fitted before: ", columns_, ")"}) : ""});
  const auto n = static_cast<size_t>(columns);
  if (columns_ == 0) {
    columns_ = columns;
    low_.assign(n, std::numeric_limits<double>::infinity());
    high_.assign(n, -std::numeric_limits<double>::infinity());
    count_.assign(n, 0);
    mean_ = square_ = count_;
    if (kind_ == Kind::robust) values_.resize(n);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const double x = rows[i];
    const size_t c = i % n;
    if (std::isnan(x)) continue;
    low_[c] = std::min(low_[c], x);
    high_[c] = std::max(high_[c], x);
    count_[c] += 1;  // Welford's recurrence
    const double d = x - mean_[c];
    mean_[c] += d / count_[c];
    square_[c] += d * (x - mean_[c]);
    if (kind_ == Kind::robust) values_[c].push_back(x);
  }
}

Scaler::Fitted Scaler::fitted() const {
  if (columns_ == 0)
    fail(Error::Kind::usage,
         {"[Scaler] ", kScalerNames[static_cast<int>(kind_)], " was not fitted yet"});
  Fitted f;
  for (size_t c = 0; c < static_cast<size_t>(columns_); ++c) {
    double offset = 0, scale = 1;
    if (kind_ == Kind::min_max && count_[c] > 0) {
      offset = low_[c], scale = high_[c] - low_[c];
    } else if (kind_ == Kind::z_score && count_[c] > 0) {
      offset = mean_[c], scale = std::sqrt(square_[c] / count_[c]);
    } else if (kind_ == Kind::robust) {
      auto sorted = values_[c];
      std::sort(sorted.begin(), sorted.end());
      offset = quantile(sorted, 0.5), scale = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    }
    f.offset.push_back(offset);
    f.scale.push_back(scale > 0 && std::isfinite(scale) ? scale : 1);
  }
  return f;
}

int64_t Scaler::rows_of(size_t values) const {
  if (columns_ > 0 && values % static_cast<size_t>(columns_) != 0)
    fail(Error::Kind::shape,
         {"[Scaler] ", values, " values do not fit into rows of ", columns_, " columns"});
  return columns_ > 0 ? static_cast<int64_t>(values) / columns_ : 0;
}

std::vector<double> Scaler::transform(std::span<double> rows) const {
  const Fitted f = fitted();
  const auto n = static_cast<size_t>(columns_);
  std::vector<double> lengths;
  if (kind_ == Kind::unit_norm) {
    for (int64_t r = 0; r < rows_of(rows.size()); ++r) {
      const auto row = rows.subspan(static_cast<size_t>(r) * n, n);
      double square = 0;
      for (const double x : row)
        if (!std::isnan(x)) square += x * x;
      lengths.push_back(square > 0 ? std::sqrt(square) : 1);
      for (double& x : row) x /= lengths.back();
    }
    return lengths;
  }
  rows_of(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = (rows[i] - f.offset[i % n]) / f.scale[i % n];
  return lengths;
}

void Scaler::inverse(std::span<double> rows, std::span<const double> lengths) const {
  const Fitted f = fitted();
  const auto n = static_cast<size_t>(columns_);
  const int64_t count = rows_of(rows.size());
  if (kind_ == Kind::unit_norm && static_cast<int64_t>(lengths.size()) != count)
    fail(Error::Kind::shape,
         {"[Scaler] unit_norm needs the lengths of ", count, " rows, got ", lengths.size()});
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = kind_ == Kind::unit_norm ? rows[i] * lengths[i / n]
                                       : rows[i] * f.scale[i % n] + f.offset[i % n];
}

std::string Scaler::step() const {
  const Fitted f = fitted();
  if (kind_ == Kind::unit_norm) return "unit_norm";
  return "standardize(" + list_of(f.offset) + "," + list_of(f.scale) + ")";
}

}  // namespace nacre
