// Superpixels: regions that hang together, keep to edges, and are as tight as plain k-means finds.
#include "nacre/superpixels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/folder.h"
#include "nacre/random.h"

namespace nacre {
namespace {

/// Regions about random places, each of one colour, with noise; and what region a pixel is of.
struct Scene {
  Image image;
  std::vector<int> region;
};
Scene scene(int side, int regions, uint64_t seed, double noise, int channels = 3) {
  Rng rng{Key(seed)};
  std::vector<std::array<double, 5>> list;
  for (int i = 0; i < regions; ++i)
    list.push_back(
        {rng.uniform() * side, rng.uniform() * side, rng.uniform(), rng.uniform(), rng.uniform()});
  Scene s{Image(side, side, channels), {}};
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      int best = 0;
      for (int i = 1; i < regions; ++i)
        if (std::hypot(list[i][0] - x, list[i][1] - y) <
            std::hypot(list[best][0] - x, list[best][1] - y))
          best = i;
      s.region.push_back(best);
      for (int c = 0; c < channels; ++c)
        s.image.at(x, y, c) =
            static_cast<float>(std::clamp(list[best][2 + c % 3] + noise * rng.normal(), 0.0, 1.0));
    }
  return s;
}

/// Pixels whose right or lower neighbour is of another region.
template <typename T>
std::vector<bool> borders(const std::vector<T>& region, int side) {
  std::vector<bool> b(region.size());
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const auto i = static_cast<size_t>(y * side + x);
      b[i] = (x + 1 < side && region[i] != region[i + 1]) ||
             (y + 1 < side && region[i] != region[i + static_cast<size_t>(side)]);
    }
  return b;
}

TEST(Slic, KeepsToTheEdgesOfAScene) {
  const int side = 96;
  for (const uint64_t seed : {1, 2, 3}) {
    const Scene s = scene(side, 20, seed, 0.04);
    const Superpixels p = slic(s.image, {.count = 200});
    const auto want = borders(s.region, side), have = borders(p.labels, side);
    int64_t all = 0, found = 0;
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        if (!want[static_cast<size_t>(y * side + x)]) continue;
        ++all;
        bool near = false;
        for (int v = std::max(0, y - 2); v <= std::min(side - 1, y + 2); ++v)
          for (int u = std::max(0, x - 2); u <= std::min(side - 1, x + 2); ++u)
            near = near || have[static_cast<size_t>(v * side + u)];
        found += near;
      }
    const double recall = static_cast<double>(found) / static_cast<double>(all);
    std::printf("boundary recall %.3f with %d superpixels\n", recall, p.count);
    EXPECT_GE(recall, 0.9) << seed;
  }
}

TEST(Slic, CutsIntoRegionsThatHangTogether) {
  const Scene s = scene(60, 12, 4, 0.02, 4);
  const Superpixels p = slic(s.image, {.count = 80});
  EXPECT_GT(p.count, 50);
  EXPECT_LT(p.count, 110);
  // A second colouring, by spreading from each pixel: as many regions as numbers.
  std::vector<int> region(p.labels.size(), -1);
  int regions = 0;
  for (size_t i = 0; i < region.size(); ++i) {
    if (region[i] >= 0) continue;
    std::vector<size_t> open = {i};
    region[i] = regions;
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      const auto look = [&](size_t to) {
        if (region[to] < 0 && p.labels[to] == p.labels[at]) {
          region[to] = regions;
          open.push_back(to);
        }
      };
      if (at % 60) look(at - 1);
      if (at % 60 < 59) look(at + 1);
      if (at >= 60) look(at - 60);
      if (at + 60 < region.size()) look(at + 60);
    }
    ++regions;
  }
  EXPECT_EQ(regions, p.count);
  const std::set<int32_t> numbers(p.labels.begin(), p.labels.end());
  EXPECT_EQ(static_cast<int>(numbers.size()), p.count);
  EXPECT_EQ(*numbers.rbegin(), p.count - 1);
}

TEST(Slic, IsAGridWhereAllPixelsAreEqual) {
  const Superpixels p = slic(Image(40, 40, 1, 0.5f), {.count = 16});
  ASSERT_EQ(p.count, 16);
  std::vector<int> size(16, 0);
  for (const int32_t k : p.labels) ++size[static_cast<size_t>(k)];
  for (const int n : size) EXPECT_NEAR(n, 100, 25);
}

/// The sum over pixels of the squared distance, in place and value, to the mean of their region.
double spread_of(const Image& image, const std::vector<int32_t>& labels, int count, double weight) {
  std::vector<std::array<double, 4>> sums(static_cast<size_t>(count));
  const auto each = [&](const auto& f) {
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x)
        f(static_cast<size_t>(labels[static_cast<size_t>(y * image.width + x)]), x, y,
          100.0 * image.at(x, y));
  };
  each([&](size_t k, int x, int y, double v) {
    sums[k][0] += 1;
    sums[k][1] += x;
    sums[k][2] += y;
    sums[k][3] += v;
  });
  double total = 0;
  each([&](size_t k, int x, int y, double v) {
    const double n = sums[k][0], dx = x - sums[k][1] / n, dy = y - sums[k][2] / n,
                 dv = v - sums[k][3] / n;
    total += dv * dv + weight * (dx * dx + dy * dy);
  });
  return total;
}

TEST(Slic, IsAsTightAsKMeansOverAllPixels) {
  const int side = 40;
  const Scene s = scene(side, 8, 5, 0.02, 1);
  const Superpixels p = slic(s.image, {.count = 25, .compactness = 10});
  const double weight = 100.0 / (side * side / 25.0);
  // Plain k-means, every pixel against every centre, from a grid.
  std::vector<std::array<double, 3>> centres;
  for (int i = 0; i < 25; ++i) {
    const int x = i % 5 * 8 + 4, y = i / 5 * 8 + 4;
    centres.push_back({1.0 * x, 1.0 * y, 100.0 * s.image.at(x, y)});
  }
  std::vector<int32_t> labels(static_cast<size_t>(side * side));
  for (int round = 0; round < 10; ++round) {
    std::vector<std::array<double, 4>> sums(25);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const double v = 100.0 * s.image.at(x, y);
        double least = 1e30;
        size_t best = 0;
        for (size_t k = 0; k < 25; ++k) {
          const auto& c = centres[k];
          const double d = (v - c[2]) * (v - c[2]) +
                           weight * ((x - c[0]) * (x - c[0]) + (y - c[1]) * (y - c[1]));
          if (d < least) {
            least = d;
            best = k;
          }
        }
        labels[static_cast<size_t>(y * side + x)] = static_cast<int32_t>(best);
        sums[best][0] += x;
        sums[best][1] += y;
        sums[best][2] += v;
        sums[best][3] += 1;
      }
    for (size_t k = 0; k < 25; ++k)
      if (sums[k][3] > 0)
        for (size_t i = 0; i < 3; ++i) centres[k][i] = sums[k][i] / sums[k][3];
  }
  const double plain = spread_of(s.image, labels, 25, weight);
  const double ours = spread_of(s.image, p.labels, p.count, weight);
  std::printf("spread %.0f against %.0f of k-means\n", ours, plain);
  EXPECT_LT(ours, 1.25 * plain);  // joining small regions costs a little
}

TEST(Slic, RefusesWhatCannotBeCut) {
  EXPECT_NE(testing::error_of([] { slic(Image()); }).find("empty"), std::string::npos);
  for (const SlicOptions& o :
       {SlicOptions{.count = 0}, SlicOptions{.count = 17},
        SlicOptions{.count = 2, .compactness = 0}, SlicOptions{.count = 2, .iterations = 0}})
    EXPECT_NE(testing::error_of([&] { slic(Image(4, 4, 3), o); }, Error::Kind::usage).find("16"),
              std::string::npos);
}

TEST(LocalWindows, LieAboutTheirPlace) {
  Image image(20, 20, 2);
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 20; ++x) {
      image.at(x, y, 0) = static_cast<float>(x);
      image.at(x, y, 1) = static_cast<float>(y);
    }
  const Image w = local_windows(image, 10, 8, 4);
  ASSERT_EQ(w.channels, 10);
  const int want[5][2] = {{8, 6}, {8, 4}, {8, 8}, {6, 6}, {10, 6}};  // the first pixel of each
  for (int k = 0; k < 5; ++k) {
    EXPECT_EQ(w.at(0, 0, 2 * k), static_cast<float>(want[k][0])) << k;
    EXPECT_EQ(w.at(0, 0, 2 * k + 1), static_cast<float>(want[k][1])) << k;
  }
  EXPECT_EQ(local_windows(image, 0, 0, 4).at(0, 0, 0), 0.0f);  // beyond the edge
}

}  // namespace
}  // namespace nacre
