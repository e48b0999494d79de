#include <algorithm>

#include "explain/units.h"

namespace nacre::explain {
namespace {

/// Values of a unit that the threshold is taken from; more are thinned to every second, and so on.
class Seen {
 public:
  void add(float v) {
    if (count_++ % step_ != 0) return;
    values_.push_back(v);
    if (values_.size() < kMost) return;
    for (size_t i = 0; 2 * i < values_.size(); ++i) values_[i] = values_[2 * i];
    values_.resize((values_.size() + 1) / 2);
    step_ *= 2;
  }
  /// The value that a share of them exceeds.
  float above(double share) {
    if (values_.empty()) return INFINITY;
    const auto rank = static_cast<size_t>((1 - share) * static_cast<double>(values_.size() - 1));
    const auto at = values_.begin() + static_cast<ptrdiff_t>(rank);
    std::nth_element(values_.begin(), at, values_.end());
    return *at;
  }

 private:
  static constexpr size_t kMost = 1 << 16;
  std::vector<float> values_;
  size_t count_ = 0, step_ = 1;
};

}  // namespace

Dissection dissect(Module& net, const DatasetPtr& data, const Transform& transform,
                   const std::string& layer, int64_t concepts, double quantile) {
  if (concepts < 1 || concepts > 100000 || !(quantile > 0 && quantile < 1))
    fail(Error::Kind::usage, {"[dissect] ", concepts, " concepts and a quantile of ", quantile,
                              ": 1 to 100000, and between 0 and 1 are needed"});
  std::vector<Seen> seen;
  for_maps(net, data, transform, layer, [&](const Tensor& maps, const Batch&) {
    const auto units = static_cast<size_t>(maps.size(1));
    const auto plane = static_cast<size_t>(maps.size(2) * maps.size(3));
    seen.resize(units);
    const auto v = maps.to_vector<float>();
    for (size_t k = 0; k < v.size(); ++k) seen[k / plane % units].add(v[k]);
  });
  Dissection d;
  for (Seen& s : seen) d.threshold.push_back(s.above(quantile));

  const auto units = d.threshold.size(), kinds = static_cast<size_t>(concepts);
  std::vector<double> active(units), both(units * kinds), present(kinds);
  for_maps(net, data, transform, layer, [&](const Tensor& maps, const Batch& batch) {
    const int64_t h = batch.shape[2], w = batch.shape[3];
    const auto plane = static_cast<size_t>(h * w);
    if (batch.masks.size() != static_cast<size_t>(maps.size(0)) * plane)
      fail(Error::Kind::data, {"[dissect] the data have no masks of the pictures' size (", h, "x",
                               w, "): each sample needs one"});
    const auto v = interpolate(maps, {h, w}, "bilinear").to_vector<float>();
    for (size_t i = 0; i < static_cast<size_t>(maps.size(0)); ++i) {
      const int32_t* const mask = &batch.masks[i * plane];
      for (size_t p = 0; p < plane; ++p)
        if (mask[p] >= 0 && mask[p] < concepts) ++present[static_cast<size_t>(mask[p])];
      for (size_t u = 0; u < units; ++u) {
        const float* const a = &v[(i * units + u) * plane];
        for (size_t p = 0; p < plane; ++p) {
          if (!(a[p] > d.threshold[u])) continue;
          ++active[u];
          if (mask[p] >= 0 && mask[p] < concepts) ++both[u * kinds + static_cast<size_t>(mask[p])];
        }
      }
    }
  });
  for (size_t u = 0; u < units; ++u) {
    std::vector<double> row;
    for (size_t c = 0; c < kinds; ++c) {
      const double common = both[u * kinds + c], either = active[u] + present[c] - common;
      row.push_back(either > 0 ? common / either : 0);
    }
    d.iou.push_back(std::move(row));
  }
  return d;
}

}  // namespace nacre::explain
