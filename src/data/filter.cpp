// Filters of pictures.
#include <algorithm>
#include <cmath>

#include "data/geometry.h"
#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre {
namespace {

using data::border_index;

/// Each row and then each column, or one of them, times weights about the middle.
Image along(const Image& in, std::span<const float> weight, bool vertical, Border border) {
  const int radius = static_cast<int>(weight.size() / 2);
  const int n = vertical ? in.height : in.width;
  Image out(in.width, in.height, in.channels);
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x) {
      float* q = &out.pixels[out.offset(x, y)];
      for (int k = -radius; k <= radius; ++k) {
        const int at = border_index((vertical ? y : x) + k, n, border);
        if (at < 0) continue;
        const float w = weight[static_cast<size_t>(k + radius)];
        const float* p = &in.pixels[vertical ? in.offset(x, at) : in.offset(at, y)];
        for (int c = 0; c < in.channels; ++c) q[c] += w * p[c];
      }
    }
  return out;
}

void check_size(int size, const char* what) {
  if (size < 1 || size > 255 || size % 2 == 0)
    fail(Error::Kind::usage, {"[", what, "] the size is odd, from 1 to 255, not ", size});
}

}  // namespace

Image gaussian_blur(const Image& image, double sigma, Border border) {
  if (!(sigma > 0 && sigma <= 1000))
    fail(Error::Kind::usage, {"[gaussian_blur] sigma is above 0 and up to 1000, not ", sigma});
  const int radius = static_cast<int>(std::ceil(3 * sigma));
  std::vector<float> weight;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) sum += std::exp(-i * i / (2 * sigma * sigma));
  for (int i = -radius; i <= radius; ++i)
    weight.push_back(static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)) / sum));
  return along(along(image, weight, false, border), weight, true, border);
}

Image box_blur(const Image& image, int size, Border border) {
  check_size(size, "box_blur");
  const std::vector<float> weight(static_cast<size_t>(size), 1 / static_cast<float>(size));
  return along(along(image, weight, false, border), weight, true, border);
}

Image median_blur(const Image& image, int size, Border border) {
  check_size(size, "median_blur");
  const int radius = size / 2;
  Image out(image.width, image.height, image.channels);
  std::vector<float> near(static_cast<size_t>(size) * static_cast<size_t>(size));
  const auto middle = near.begin() + static_cast<std::ptrdiff_t>(near.size() / 2);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < image.channels; ++c) {
        size_t k = 0;
        for (int v = y - radius; v <= y + radius; ++v)
          for (int u = x - radius; u <= x + radius; ++u) {
            const int i = border_index(u, image.width, border);
            const int j = border_index(v, image.height, border);
            near[k++] = i < 0 || j < 0 ? 0 : image.at(i, j, c);
          }
        std::nth_element(near.begin(), middle, near.end());
        out.at(x, y, c) = *middle;
      }
  return out;
}

Image convolve(const Image& image, std::span<const float> kernel, int width, int height,
               Border border) {
  check_size(width, "convolve");
  check_size(height, "convolve");
  if (kernel.size() != static_cast<size_t>(width) * static_cast<size_t>(height))
    fail(Error::Kind::usage, {"[convolve] a kernel of ", width, "x", height, " has ",
                              width * height, " values, not ", kernel.size()});
  Image out(image.width, image.height, image.channels);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      float* q = &out.pixels[out.offset(x, y)];
      for (int v = 0; v < height; ++v)
        for (int u = 0; u < width; ++u) {
          const int i = border_index(x + u - width / 2, image.width, border);
          const int j = border_index(y + v - height / 2, image.height, border);
          if (i < 0 || j < 0) continue;
          const float w = kernel[static_cast<size_t>(v * width + u)];
          const float* p = &image.pixels[image.offset(i, j)];
          for (int c = 0; c < image.channels; ++c) q[c] += w * p[c];
        }
    }
  return out;
}

Image sobel(const Image& image, Axis axis, Border border) {
  const float slope[] = {-1, 0, 1}, smooth[] = {1, 2, 1};
  const bool down = axis == Axis::y;
  return along(along(image, slope, down, border), smooth, !down, border);
}

}  // namespace nacre
