// Separable resizing: each output pixel is a weighted sum of a run of input pixels per axis.
#include <algorithm>
#include <cmath>

#include "nacre/error.h"
#include "nacre/image.h"

namespace nacre {
namespace {

struct Taps {
  std::vector<int> first, count;  // of each output pixel
  std::vector<float> weight;      // `stride` for each output pixel
  size_t stride = 0;
};

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

Taps make_taps(int in, int out, Resample method, bool antialias) {
  const double scale = static_cast<double>(in) / out;
  const double wide = antialias ? std::max(1.0, scale) : 1.0;
  const double radius = method == Resample::area       ? scale / 2
                        : method == Resample::bilinear ? wide
                                                       : 2 * wide;
  Taps taps;
  taps.stride = method == Resample::nearest ? 1 : static_cast<size_t>(std::ceil(radius) * 2 + 2);
  taps.weight.assign(taps.stride * static_cast<size_t>(out), 0);
  std::vector<double> w(taps.stride);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    int from, to;
    if (method == Resample::nearest) {
      from = std::min(in - 1, static_cast<int>(centre));
      to = from + 1;
      w[0] = 1;
    } else {
      from = std::max(0, static_cast<int>(std::floor(centre - radius)));
      to = std::min({in, static_cast<int>(std::ceil(centre + radius)) + 1,
                     from + static_cast<int>(taps.stride)});
      double sum = 0;
      for (int j = from; j < to; ++j) {
        const double x = (j + 0.5 - centre) / wide;
        double& v = w[static_cast<size_t>(j - from)];
        if (method == Resample::area)
          v = std::max(0.0,
                       std::min(centre + radius, j + 1.0) - std::max(centre - radius, double(j)));
        else
          v = method == Resample::bilinear ? std::max(0.0, 1 - std::abs(x)) : cubic(x);
        sum += v;
      }
      for (int j = from; j < to; ++j) w[static_cast<size_t>(j - from)] /= sum;
    }
    taps.first.push_back(from);
    taps.count.push_back(to - from);
    for (int j = 0; j < to - from; ++j)
      taps.weight[static_cast<size_t>(i) * taps.stride + static_cast<size_t>(j)] =
          static_cast<float>(w[static_cast<size_t>(j)]);
  }
  return taps;
}

/// `fixed`: the number of channels if the compiler is to know it (sums then stay in registers), or
/// 0.
template <int fixed>
void sum_rows(const Image& image, const Taps& taps, Image& out) {
  const int channels = fixed > 0 ? fixed : image.channels;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const auto i = static_cast<size_t>(x);
      const float* w = taps.weight.data() + i * taps.stride;
      const float* p = image.pixels.data() + image.offset(taps.first[i], y);
      float* __restrict q = out.pixels.data() + out.offset(x, y);
      for (int j = 0; j < taps.count[i]; ++j)
        for (int c = 0; c < channels; ++c) q[c] += w[j] * *p++;
    }
}

Image resize_rows(const Image& image, int width, const Taps& taps) {
  Image out(width, image.height, image.channels);
  const auto sum = image.channels == 3   ? sum_rows<3>
                   : image.channels == 1 ? sum_rows<1>
                                         : sum_rows<0>;
  sum(image, taps, out);
  return out;
}

Image resize_columns(const Image& image, int height, const Taps& taps) {
  Image out(image.width, height, image.channels);
  const size_t row = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  for (int y = 0; y < height; ++y) {
    const auto i = static_cast<size_t>(y);
    float* q = out.pixels.data() + out.offset(0, y);
    for (int j = 0; j < taps.count[i]; ++j) {
      const float w = taps.weight[i * taps.stride + static_cast<size_t>(j)];
      const float* p = image.pixels.data() + image.offset(0, taps.first[i] + j);
      for (size_t k = 0; k < row; ++k) q[k] += w * p[k];
    }
  }
  return out;
}

constexpr std::string_view kResampleNames[] = {"nearest", "bilinear", "bicubic", "area"};

}  // namespace

std::string_view name_of(Resample method) { return kResampleNames[static_cast<int>(method)]; }

Resample resample_from_name(std::string_view name) {
  for (int i = 0; i < 4; ++i)
    if (kResampleNames[i] == name) return static_cast<Resample>(i);
  fail(Error::Kind::usage,
       {"resizing method '", name, "' is not one of nearest, bilinear, bicubic, area"});
}

Image resize(const Image& image, int width, int height, Resample method, bool antialias) {
  if (width < 1 || height < 1 || image.empty())
    fail(Error::Kind::shape, {"[resize] cannot turn ", image.width, "x", image.height,
                              " pixels into ", width, "x", height});
  Image out;
  const auto now = [&]() -> const Image& { return out.empty() ? image : out; };
  const auto rows = [&] {
    if (width != now().width)
      out = resize_rows(now(), width, make_taps(now().width, width, method, antialias));
  };
  const auto columns = [&] {
    if (height != now().height)
      out = resize_columns(now(), height, make_taps(now().height, height, method, antialias));
  };
  // The axis whose result is smaller goes first.
  const bool rows_first = int64_t{width} * image.height <= int64_t{image.width} * height;
  if (rows_first) rows();
  columns();
  if (!rows_first) rows();
  if (out.empty()) out = image;
  if (method == Resample::bicubic)
    for (float& p : out.pixels) p = std::clamp(p, 0.0f, 1.0f);
  return out;
}

}  // namespace nacre
