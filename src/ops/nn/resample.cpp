#include "ops/nn/resample.h"

#include <algorithm>

namespace nacre {
namespace {

/// One neighbour of every output position: where it is and how much it counts.
struct Tap {
  std::vector<int64_t> at;
  std::vector<double> weight;
};

Tensor row(const std::vector<double>& values, const Tensor& x, int64_t dim) {
  Shape s(static_cast<size_t>(x.rank() - dim), 1);
  s[0] = static_cast<int64_t>(values.size());
  return reshape(cast(Tensor::from(values, {s[0]}), x.dtype()), s);
}

Tensor combine(const Tensor& x, int64_t dim, const std::vector<Tap>& taps) {
  Tensor y;
  for (const Tap& t : taps) {
    const auto n = static_cast<int64_t>(t.at.size());
    const Tensor part = index_select(x, dim, Tensor::from(t.at, {n})) * row(t.weight, x, dim);
    y = y.defined() ? y + part : part;
  }
  return y;
}

/// Position in the input of output o, not yet clamped.
double source(int64_t o, int64_t from, int64_t to, Grid grid) {
  if (grid == Grid::align_corners)
    return to > 1 ? static_cast<double>(o) * static_cast<double>(from - 1) /
                        static_cast<double>(to - 1)
                  : 0;
  return (static_cast<double>(o) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
}

}  // namespace

Tensor resample_nearest(const Tensor& x, int64_t dim, int64_t size, bool exact) {
  const int64_t n = x.size(dim);
  std::vector<int64_t> at;
  for (int64_t o = 0; o < size; ++o)  // integers: floor(o n / size) or floor((o + 1/2) n / size)
    at.push_back(std::min(n - 1, exact ? (2 * o + 1) * n / (2 * size) : o * n / size));
  return index_select(x, dim, Tensor::from(at, {size}));
}

Tensor resample_linear(const Tensor& x, int64_t dim, int64_t size, Grid grid) {
  const int64_t n = x.size(dim);
  std::vector<Tap> taps(2);
  for (int64_t o = 0; o < size; ++o) {
    const double at = std::max(0.0, source(o, n, size, grid));
    const int64_t low = std::min(n - 1, static_cast<int64_t>(at));
    const double t = std::min(1.0, at - static_cast<double>(low));
    taps[0].at.push_back(low);
    taps[0].weight.push_back(1 - t);
    taps[1].at.push_back(std::min(n - 1, low + 1));
    taps[1].weight.push_back(t);
  }
  return combine(x, dim, taps);
}

Tensor resample_cubic(const Tensor& x, int64_t dim, int64_t size, Grid grid) {
  constexpr double a = -0.75;
  const auto kernel = [](double d) {
    d = std::abs(d);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  };
  const int64_t n = x.size(dim);
  std::vector<Tap> taps(4);
  for (int64_t o = 0; o < size; ++o) {
    const double at = source(o, n, size, grid), low = std::floor(at);
    for (int k = 0; k < 4; ++k) {
      Tap& tap = taps[static_cast<size_t>(k)];
      tap.at.push_back(std::clamp<int64_t>(static_cast<int64_t>(low) - 1 + k, 0, n - 1));
      tap.weight.push_back(kernel(at - low + 1 - k));
    }
  }
  return combine(x, dim, taps);
}

Tensor resample_area(const Tensor& x, int64_t dim, int64_t size) {
  const int64_t n = x.size(dim);
  std::vector<Tap> taps;
  for (int64_t o = 0; o < size; ++o) {
    const int64_t from = o * n / size, to = ((o + 1) * n + size - 1) / size;
    while (static_cast<int64_t>(taps.size()) < to - from)
      taps.push_back({std::vector<int64_t>(static_cast<size_t>(size)),
                      std::vector<double>(static_cast<size_t>(size))});
    for (int64_t i = from; i < to; ++i) {
      Tap& tap = taps[static_cast<size_t>(i - from)];
      tap.at[static_cast<size_t>(o)] = i;
      tap.weight[static_cast<size_t>(o)] = 1 / static_cast<double>(to - from);
    }
  }
  return combine(x, dim, taps);
}

}  // namespace nacre
