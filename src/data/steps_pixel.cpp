// Steps that change values of pixels and leave places alone.
#include <algorithm>
#include <cmath>
#include <functional>

#include "data/geometry.h"
#include "data/steps.h"
#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre::data {
namespace {

float clamped(float v) { return std::clamp(v, 0.0f, 1.0f); }

/// Colours of a pixel without alpha.
int colours_of(const Image& image) { return image.channels >= 3 ? 3 : 1; }

void blend(Image& image, float factor, const std::function<float(const float*)>& other) {
  const int colours = colours_of(image);
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels)) {
    float* p = &image.pixels[i];
    const float base = (1 - factor) * other(p);
    for (int c = 0; c < colours; ++c) p[c] = clamped(factor * p[c] + base);
  }
}

float grey_of(const float* p) { return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]; }

/// Turns the hue by a part of the circle, in the hexagon model (HSV).
void shift_hue(Image& image, float shift) {
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels)) {
    float* p = &image.pixels[i];
    const float top = std::max({p[0], p[1], p[2]}), low = std::min({p[0], p[1], p[2]});
    const float chroma = top - low;
    if (chroma <= 0) continue;
    float hue = top == p[0]   ? (p[1] - p[2]) / chroma
                : top == p[1] ? 2 + (p[2] - p[0]) / chroma
                              : 4 + (p[0] - p[1]) / chroma;
    hue += 6 * shift;
    for (int c = 0; c < 3; ++c) {
      // Distance, on the circle of 6, to the hue at which this colour is largest.
      const float d = std::abs(std::remainder(hue - 2 * static_cast<float>(c), 6.0f));
      p[c] = low + chroma * std::clamp(2 - d, 0.0f, 1.0f);
    }
  }
}

void color_jitter_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "color_jitter");
  Image& image = s.image;
  const auto factor = [&](std::string_view name) {
    const double range = a.number(name);
    return static_cast<float>(rng.uniform(std::max(0.0, 1 - range), 1 + range));
  };
  const float brightness = factor("brightness"), contrast = factor("contrast");
  const float saturation = factor("saturation");
  const auto hue = static_cast<float>(rng.uniform(-a.number("hue"), a.number("hue")));
  const bool rgb = image.channels >= 3;
  if (brightness != 1) blend(image, brightness, [](const float*) { return 0.0f; });
  if (contrast != 1) {
    double sum = 0;
    for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels))
      sum += rgb ? grey_of(&image.pixels[i]) : image.pixels[i];
    const auto mean = static_cast<float>(sum * image.channels / double(image.pixels.size()));
    blend(image, contrast, [mean](const float*) { return mean; });
  }
  if (saturation != 1 && rgb) blend(image, saturation, grey_of);
  if (hue != 0 && rgb) shift_hue(image, hue);
}

void grayscale_step(Sample& s, const Args&, bool, Rng&) {
  need_image(s, "grayscale");
  const int channels = s.image.channels;
  s.image = to_channels(to_channels(s.image, channels % 2 ? 1 : 2), channels);
}

void to_channels_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "to_channels");
  s.image = to_channels(s.image, a.integer("channels"));
}

void invert_step(Sample& s, const Args&, bool, Rng&) {
  need_image(s, "invert");
  const int colours = colours_of(s.image);
  for (size_t i = 0; i < s.image.pixels.size(); i += static_cast<size_t>(s.image.channels))
    for (int c = 0; c < colours; ++c) {
      float& p = s.image.pixels[i + static_cast<size_t>(c)];
      p = 1 - p;
    }
}

void normalize_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "normalize");
  const auto& mean = a.list("mean");
  const auto& std = a.list("std");
  const auto channels = static_cast<size_t>(s.image.channels);
  for (const auto* list : {&mean, &std})
    if (list->size() != 1 && list->size() != channels)
      fail(Error::Kind::shape, {"[normalize] ", list == &mean ? "mean" : "std", " has ",
                                list->size(), " values, the picture ", channels, " channels"});
  for (size_t c = 0; c < channels; ++c) {
    const auto m = static_cast<float>(mean[mean.size() == 1 ? 0 : c]);
    const auto d = static_cast<float>(std[std.size() == 1 ? 0 : c]);
    for (size_t i = c; i < s.image.pixels.size(); i += channels)
      s.image.pixels[i] = (s.image.pixels[i] - m) / d;
  }
}

void add_noise(Sample& s, const Args& a, Rng& rng, bool times_value) {
  const float std = a.real("std"), mean = times_value ? 0 : a.real("mean");
  const bool clip = a.number("clip") != 0;
  for (float& p : s.image.pixels) {
    const float noise = mean + std * static_cast<float>(rng.normal());
    p += times_value ? p * noise : noise;
    if (clip) p = clamped(p);
  }
}

void gaussian_noise_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "gaussian_noise");
  add_noise(s, a, rng, false);
}

void speckle_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "speckle");
  add_noise(s, a, rng, true);
}

void salt_pepper_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "salt_pepper");
  const double amount = a.number("amount"), salt = a.number("salt");
  const int colours = colours_of(s.image);
  for (size_t i = 0; i < s.image.pixels.size(); i += static_cast<size_t>(s.image.channels)) {
    const double u = rng.uniform();
    if (u < amount)
      std::fill_n(s.image.pixels.begin() + static_cast<ptrdiff_t>(i), colours,
                  u < amount * salt ? 1.0f : 0.0f);
  }
}

void gaussian_blur_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "gaussian_blur");
  if (a.number("low") > a.number("high"))
    fail(Error::Kind::usage,
         {"[gaussian_blur] low is ", a.number("low"), ", above high, ", a.number("high")});
  const double sigma = rng.uniform(a.number("low"), a.number("high"));
  s.image = gaussian_blur(s.image, sigma, Border::edge);
}

void detail_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "detail");
  const Image around = gaussian_blur(s.image, a.number("sigma"), Border::edge);
  for (size_t i = 0; i < s.image.pixels.size(); ++i) s.image.pixels[i] -= around.pixels[i];
}

/// Sets a rectangle, clipped to the picture, to a value, or to uniform noise without one.
void erase(Image& image, int x, int y, int width, int height, float fill, Rng* noise) {
  for (int v = std::max(0, y); v < std::min(image.height, y + height); ++v)
    for (int u = std::max(0, x); u < std::min(image.width, x + width); ++u)
      for (int c = 0; c < image.channels; ++c)
        image.at(u, v, c) = noise ? static_cast<float>(noise->uniform()) : fill;
}

void cutout_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "cutout");
  const int size = a.integer("size");
  for (int i = a.integer("count"); i > 0; --i) {
    const auto x = static_cast<int>(rng.below(static_cast<uint64_t>(s.image.width)));
    const auto y = static_cast<int>(rng.below(static_cast<uint64_t>(s.image.height)));
    erase(s.image, x - size / 2, y - size / 2, size, size, a.real("fill"), nullptr);
  }
}

void random_erasing_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "random_erasing");
  if (!rng.bernoulli(a.number("p"))) return;
  const double w = s.image.width, h = s.image.height, ratio = a.number("ratio");
  const double low = a.number("min_area"), high = a.number("max_area");
  for (int attempt = 0; attempt < 20; ++attempt) {
    const double area = w * h * rng.uniform(low, high);
    const double shape = std::exp(rng.uniform(-std::log(ratio), std::log(ratio)));
    const auto ew = static_cast<int>(std::lround(std::sqrt(area * shape)));
    const auto eh = static_cast<int>(std::lround(std::sqrt(area / shape)));
    if (ew < 1 || eh < 1 || ew > w || eh > h) continue;
    // Rounding to pixels may leave the bounds on small pictures.
    const double part = ew * eh / (w * h), got = static_cast<double>(ew) / eh;
    if (part < low || part > high || got > ratio || got < 1 / ratio) continue;
    const auto x = static_cast<int>(rng.below(static_cast<uint64_t>(s.image.width - ew) + 1));
    const auto y = static_cast<int>(rng.below(static_cast<uint64_t>(s.image.height - eh) + 1));
    return erase(s.image, x, y, ew, eh, a.real("fill"), a.word("with") == "noise" ? &rng : nullptr);
  }
}

const Param kClip = {"clip", Param::integer, 1, 0, 1};

}  // namespace

const std::vector<StepDef>& pixel_steps() {
  static const std::vector<StepDef> steps = {
      {"color_jitter",
       "factors of 1 - x to 1 + x for brightness, contrast and saturation; hue in turns of the "
       "circle",
       {number("brightness", 0, 0, 10), number("contrast", 0, 0, 10),
        number("saturation", 0, 0, 10), number("hue", 0, 0, 0.5)},
       true,
       color_jitter_step},
      {"grayscale", "without colour; the number of channels stays", {}, false, grayscale_step},
      {"to_channels",
       "1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha",
       {{"channels", Param::integer, 0, 1, 4, {}, true}},
       false,
       to_channels_step},
      {"invert", "1 - value", {}, false, invert_step},
      {"normalize",
       "(value - mean) / std, one number or one a channel",
       {{"mean", Param::list, 0, -1e6, 1e6, {}, true},
        {"std", Param::list, 0, 1e-6, 1e6, {}, true}},
       false,
       normalize_step},
      {"gaussian_noise",
       "adds normal noise; clip=0 lets values leave 0..1",
       {needed("std", 0, 1e3), number("mean", 0, -1e3, 1e3), kClip},
       true,
       gaussian_noise_step},
      {"speckle",
       "adds normal noise times the value",
       {needed("std", 0, 1e3), kClip},
       true,
       speckle_step},
      {"salt_pepper",
       "a part of the pixels becomes white (salt of them) or black",
       {needed("amount", 0, 1), number("salt", 0.5, 0, 1)},
       true,
       salt_pepper_step},
      {"gaussian_blur",
       "blur of a standard deviation of low to high pixels",
       {needed("low", 0.01, 100), needed("high", 0.01, 100)},
       true,
       gaussian_blur_step},
      {"detail",
       "the picture without what a blur of that many pixels leaves of it: faint marks on uneven "
       "ground",
       {needed("sigma", 0.01, 100)},
       false,
       detail_step},
      {"cutout",
       "a square about a uniform pixel is filled, clipped at the edge (DeVries, Taylor 2017)",
       {{"size", Param::integer, 0, 1, 16384, {}, true},
        {"count", Param::integer, 1, 1, 1000},
        kFill},
       true,
       cutout_step},
      {"random_erasing",
       "a rectangle of min_area to max_area of the picture and sides of at most `ratio` is filled "
       "(Zhong et al. 2017)",
       {number("p", 0.5, 0, 1),
        number("min_area", 0.02, 1e-6, 1),
        number("max_area", 0.33, 1e-6, 1),
        number("ratio", 3.3, 1, 100),
        kFill,
        {"with", Param::word, 0, 0, 0, "value noise"}},
       true,
       random_erasing_step},
  };
  return steps;
}

}  // namespace nacre::data
