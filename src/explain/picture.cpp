#include <algorithm>
#include <cmath>

#include "explain/scores.h"

namespace nacre::explain {
namespace {

void check_index(const Tensor& t, int64_t i) {
  check_pictures("explain", t);
  if (i < 0 || i >= t.size(0))
    fail(Error::Kind::usage, {"[explain] there is no sample ", i, " among ", t.size(0)});
}

/// What the transform makes of a picture of one value: a number for each channel, or nothing if
/// it leads to another size.
std::vector<float> plain(const Transform& transform, int width, int height, int channels,
                         float value) {
  Sample s;
  s.image = Image(width, height, channels, value);
  try {
    transform.apply(s, false, Key(0));
  } catch (const Error&) {  // meant for other pictures
    return {};
  }
  if (s.image.channels != channels || s.image.empty()) return {};
  const int x = s.image.width / 2, y = s.image.height / 2;  // away from padding
  std::vector<float> v;
  for (int c = 0; c < channels; ++c) v.push_back(s.image.at(x, y, c));
  return v;
}

}  // namespace

Image picture_of(const Tensor& x, const Transform& transform, int64_t i) {
  check_index(x, i);
  const auto v = slice(x, 0, i, i + 1).to_vector<float>();
  const auto w = static_cast<int>(x.size(3)), h = static_cast<int>(x.size(2));
  const auto channels = static_cast<int>(x.size(1));
  const int shown = channels == 3 ? 3 : 1;
  Image picture(w, h, shown);
  std::vector<float> black, white;
  if (channels <= 4) {
    black = plain(transform, w, h, channels, 0);
    white = plain(transform, w, h, channels, 1);
  }
  if (black.empty() || white.empty() || black == white) {
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    black.assign(static_cast<size_t>(channels), *low);
    white.assign(static_cast<size_t>(channels), *high > *low ? *high : *low + 1);
  }
  const auto plane = static_cast<size_t>(w) * static_cast<size_t>(h);
  for (size_t p = 0; p < plane; ++p)
    for (int c = 0; c < channels; ++c) {
      const auto k = static_cast<size_t>(c);
      const float range = white[k] - black[k];
      const float value = range != 0 ? (v[k * plane + p] - black[k]) / range : 0;
      if (shown == 3)
        picture.pixels[3 * p + k] = value;
      else
        picture.pixels[p] += value / static_cast<float>(channels);
    }
  return picture;
}

Image overlay(const Image& picture, const Tensor& map, int64_t i, int side) {
  check_index(map, i);
  if (map.size(1) != 1 || side < 1 || picture.empty())
    fail(Error::Kind::usage, {"[overlay] the map has shape ", map.shape(), " and side is ", side,
                              "; [n, 1, h, w], at least 1 and a picture are needed"});
  const auto v = slice(map, 0, i, i + 1).to_vector<float>();
  std::vector<float> sizes;
  for (float a : v) sizes.push_back(std::fabs(a));
  const auto at = sizes.begin() + static_cast<ptrdiff_t>((sizes.size() - 1) * 995 / 1000);
  std::nth_element(sizes.begin(), at, sizes.end());
  const float most = *at > 0 ? *at : *std::max_element(sizes.begin(), sizes.end());

  const int shorter = std::min(picture.width, picture.height);
  const int times = std::max(1, (side + shorter - 1) / shorter);
  const int w = picture.width * times, h = picture.height * times;
  const Image grey = resize(to_channels(picture, 1), w, h, Resample::nearest);
  Image heat(static_cast<int>(map.size(3)), static_cast<int>(map.size(2)), 1);
  for (size_t p = 0; p < v.size(); ++p)
    heat.pixels[p] = most > 0 ? 0.5f + 0.5f * std::clamp(v[p] / most, -1.f, 1.f) : 0.5f;
  heat = resize(heat, w, h, Resample::nearest);

  static constexpr float kFor[3] = {0.86f, 0.16f, 0.12f}, kAgainst[3] = {0.13f, 0.36f, 0.86f};
  Image out(w, h, 3);
  for (size_t p = 0; p < grey.pixels.size(); ++p) {
    const float strength = 2 * heat.pixels[p] - 1, alpha = 0.85f * std::fabs(strength);
    const float base = 0.15f + 0.7f * std::clamp(grey.pixels[p], 0.f, 1.f);
    for (size_t c = 0; c < 3; ++c)
      out.pixels[3 * p + c] = (1 - alpha) * base + alpha * (strength > 0 ? kFor : kAgainst)[c];
  }
  return out;
}

}  // namespace nacre::explain
