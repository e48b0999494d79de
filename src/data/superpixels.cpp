#include "nacre/superpixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "nacre/error.h"

namespace nacre {
namespace {

/// CIELAB of sRGB, white D65.
std::array<double, 3> lab(const float* rgb) {
  const auto linear = [](double v) {
    v = std::clamp(v, 0.0, 1.0);
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  const double r = linear(rgb[0]), g = linear(rgb[1]), b = linear(rgb[2]);
  const auto f = [](double t) {
    return t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
  };
  const double x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const double y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
  const double z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

/// What pixels are compared by, row by row.
struct Features {
  int width, height;
  size_t channels;
  std::vector<double> values;
  const double* at(int x, int y) const {
    return &values[(static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) *
                   channels];
  }
};

Features features_of(const Image& image) {
  Features f{image.width, image.height, static_cast<size_t>(image.channels), {}};
  f.values.reserve(image.pixels.size());
  if (image.channels == 3)
    for (size_t i = 0; i < image.pixels.size(); i += 3)
      for (const double v : lab(&image.pixels[i])) f.values.push_back(v);
  else
    for (const float v : image.pixels) f.values.push_back(100.0 * v);
  return f;
}

struct Centre {
  std::vector<double> colour;
  double x = 0, y = 0;
};

double squared(const double* a, const double* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// A grid of centres, each moved to the least gradient of its 3x3 neighbours so that none begins on
/// an edge.
std::vector<Centre> begin_centres(const Features& f, double step) {
  std::vector<Centre> centres;
  const int columns = std::max(1, static_cast<int>(std::lround(f.width / step)));
  const int rows = std::max(1, static_cast<int>(std::lround(f.height / step)));
  const auto gradient = [&](int x, int y) {
    const int l = std::max(0, x - 1), r = std::min(f.width - 1, x + 1);
    const int u = std::max(0, y - 1), d = std::min(f.height - 1, y + 1);
    return squared(f.at(l, y), f.at(r, y), f.channels) +
           squared(f.at(x, u), f.at(x, d), f.channels);
  };
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      const int x = static_cast<int>((j + 0.5) * f.width / columns);
      const int y = static_cast<int>((i + 0.5) * f.height / rows);
      int best_x = x, best_y = y;
      double least = gradient(x, y);
      for (int v = std::max(0, y - 1); v <= std::min(f.height - 1, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(f.width - 1, x + 1); ++u)
          if (const double g = gradient(u, v); g < least) {
            least = g;
            best_x = u;
            best_y = v;
          }
      const double* c = f.at(best_x, best_y);
      centres.push_back({std::vector<double>(c, c + f.channels), 1.0 * best_x, 1.0 * best_y});
    }
  return centres;
}

/// Regions that hang together get numbers in reading order; those below `least` pixels take the
/// number of a neighbour.
void connect(Superpixels& s, size_t least) {
  const int w = s.width, h = s.height;
  std::vector<int32_t> numbered(s.labels.size(), -1);
  std::vector<int> region;
  int32_t next = 0;
  const auto index = [w](int x, int y) {
    return static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x);
  };
  constexpr int kSides[4][2] = {{-1, 0}, {0, -1}, {1, 0}, {0, 1}};
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      if (numbered[index(x, y)] >= 0) continue;
      int32_t neighbour = -1;
      region.assign(1, y * w + x);
      numbered[index(x, y)] = next;
      for (size_t done = 0; done < region.size(); ++done) {
        const int px = region[done] % w, py = region[done] / w;
        for (const auto& [dx, dy] : kSides) {
          const int qx = px + dx, qy = py + dy;
          if (qx < 0 || qy < 0 || qx >= w || qy >= h) continue;
          const size_t q = index(qx, qy);
          if (numbered[q] >= 0 && numbered[q] != next) neighbour = numbered[q];
          if (numbered[q] < 0 && s.labels[q] == s.labels[index(x, y)]) {
            numbered[q] = next;
            region.push_back(qy * w + qx);
          }
        }
      }
      if (region.size() < least && neighbour >= 0)
        for (const int p : region) numbered[static_cast<size_t>(p)] = neighbour;
      else
        ++next;
    }
  s.labels = std::move(numbered);
  s.count = next;
}

}  // namespace

Superpixels slic(const Image& image, const SlicOptions& o) {
  if (image.empty()) fail(Error::Kind::data, {"an empty picture has no superpixels"});
  const auto pixels = static_cast<int64_t>(image.width) * image.height;
  if (o.count < 1 || o.count > pixels || !(o.compactness > 0) || !std::isfinite(o.compactness) ||
      o.iterations < 1 || o.iterations > 1000)
    fail(Error::Kind::usage,
         {"superpixels need a count of 1 to ", pixels,
          " (the pixels), a compactness above 0 and 1 to ", "1000 iterations, got ", o.count, ", ",
          o.compactness, " and ", o.iterations});
  const Features f = features_of(image);
  const double step = std::sqrt(static_cast<double>(pixels) / static_cast<double>(o.count));
  const double weight = o.compactness * o.compactness / (step * step);
  std::vector<Centre> centres = begin_centres(f, step);
  Superpixels s;
  s.width = image.width;
  s.height = image.height;
  s.labels.assign(static_cast<size_t>(pixels), 0);
  std::vector<double> distance(static_cast<size_t>(pixels));
  const int reach = static_cast<int>(std::ceil(step)) + 1;
  for (int64_t iteration = 0; iteration < o.iterations; ++iteration) {
    std::fill(distance.begin(), distance.end(), std::numeric_limits<double>::infinity());
    for (size_t k = 0; k < centres.size(); ++k) {
      const Centre& c = centres[k];
      const int cx = static_cast<int>(c.x), cy = static_cast<int>(c.y);
      for (int y = std::max(0, cy - reach); y <= std::min(f.height - 1, cy + reach); ++y)
        for (int x = std::max(0, cx - reach); x <= std::min(f.width - 1, cx + reach); ++x) {
          const double d = squared(f.at(x, y), c.colour.data(), f.channels) +
                           weight * ((x - c.x) * (x - c.x) + (y - c.y) * (y - c.y));
          const auto i =
              static_cast<size_t>(y) * static_cast<size_t>(f.width) + static_cast<size_t>(x);
          if (d < distance[i]) {
            distance[i] = d;
            s.labels[i] = static_cast<int32_t>(k);
          }
        }
    }
    std::vector<double> count(centres.size(), 0);
    for (Centre& c : centres) c = {std::vector<double>(f.channels, 0.0), 0, 0};
    for (int y = 0; y < f.height; ++y)
      for (int x = 0; x < f.width; ++x) {
        const auto k = static_cast<size_t>(s.at(x, y));
        for (size_t i = 0; i < f.channels; ++i) centres[k].colour[i] += f.at(x, y)[i];
        centres[k].x += x;
        centres[k].y += y;
        ++count[k];
      }
    for (size_t k = 0; k < centres.size(); ++k) {
      if (count[k] == 0) continue;
      for (double& v : centres[k].colour) v /= count[k];
      centres[k].x /= count[k];
      centres[k].y /= count[k];
    }
  }
  connect(s, static_cast<size_t>(step * step / 4));
  s.x.assign(static_cast<size_t>(s.count), 0);
  s.y = s.x;
  std::vector<double> count = s.x;
  for (int y = 0; y < s.height; ++y)
    for (int x = 0; x < s.width; ++x) {
      const auto k = static_cast<size_t>(s.at(x, y));
      s.x[k] += x;
      s.y[k] += y;
      ++count[k];
    }
  for (size_t k = 0; k < count.size(); ++k) {
    s.x[k] /= count[k];
    s.y[k] /= count[k];
  }
  return s;
}

Image local_windows(const Image& image, double x, double y, int side) {
  if (image.empty() || side < 1)
    fail(Error::Kind::usage, {"windows need a picture and a side of at least 1, got ", side});
  Image out(side, side, kLocalWindows * image.channels);
  const int left = static_cast<int>(std::lround(x)) - side / 2,
            top = static_cast<int>(std::lround(y)) - side / 2, half = std::max(1, side / 2);
  const int moves[kLocalWindows][2] = {{0, 0}, {0, -half}, {0, half}, {-half, 0}, {half, 0}};
  for (int k = 0; k < kLocalWindows; ++k)
    for (int v = 0; v < side; ++v)
      for (int u = 0; u < side; ++u)
        for (int c = 0; c < image.channels; ++c)
          out.at(u, v, k * image.channels + c) =
              image.at(std::clamp(left + moves[k][0] + u, 0, image.width - 1),
                       std::clamp(top + moves[k][1] + v, 0, image.height - 1), c);
  return out;
}

}  // namespace nacre
