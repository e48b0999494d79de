// Colour spaces.
#include <algorithm>
#include <cmath>

#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre {
namespace {

template <typename F>
Image each_pixel(const Image& image, F f) {
  if (image.channels < 3)
    fail(Error::Kind::shape,
         {"a picture of ", image.channels, " channels has no colours; to_channels adds them"});
  Image out = image;
  for (size_t i = 0; i < out.pixels.size(); i += static_cast<size_t>(out.channels))
    f(&out.pixels[i]);
  return out;
}

void hsv(float* p) {
  const float r = p[0], g = p[1], b = p[2];
  const float top = std::max({r, g, b}), chroma = top - std::min({r, g, b});
  float hue = 0;
  if (chroma > 0)
    hue = top == r ? (g - b) / chroma : top == g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  p[0] = (hue < 0 ? hue + 6 : hue) / 6;
  p[1] = top > 0 ? chroma / top : 0;
  p[2] = top;
}

void rgb_of_hsv(float* p) {
  const float hue = 6 * p[0], chroma = p[1] * p[2], low = p[2] - chroma;
  for (int c = 0; c < 3; ++c) {
    // Distance, on the circle of 6, to the hue at which this colour is largest.
    const float d = std::abs(std::remainder(hue - 2 * static_cast<float>(c), 6.0f));
    p[c] = low + chroma * std::clamp(2 - d, 0.0f, 1.0f);
  }
}

constexpr float kRed = 0.299f, kGreen = 0.587f, kBlue = 0.114f;

void ycbcr(float* p) {
  const float r = p[0], b = p[2], y = kRed * r + kGreen * p[1] + kBlue * b;
  p[0] = y;
  p[1] = 0.5f + (b - y) / (2 * (1 - kBlue));
  p[2] = 0.5f + (r - y) / (2 * (1 - kRed));
}

void rgb_of_ycbcr(float* p) {
  const float y = p[0], r = y + 2 * (1 - kRed) * (p[2] - 0.5f);
  const float b = y + 2 * (1 - kBlue) * (p[1] - 0.5f);
  p[0] = r;
  p[1] = (y - kRed * r - kBlue * b) / kGreen;
  p[2] = b;
}

}  // namespace

Image from_rgb(const Image& image, ColourSpace space) {
  return each_pixel(image, space == ColourSpace::hsv ? hsv : ycbcr);
}

Image to_rgb(const Image& image, ColourSpace space) {
  return each_pixel(image, space == ColourSpace::hsv ? rgb_of_hsv : rgb_of_ycbcr);
}

}  // namespace nacre
