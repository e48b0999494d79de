// Steps that move pixels, and labels with them.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/geometry.h"
#include "data/steps.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr double kSide = 16384;
constexpr std::string_view kMethods = "bilinear nearest bicubic area";
constexpr std::string_view kBorders = "constant edge reflect wrap";

Param side(std::string_view name, bool required) {
  return {name, Param::integer, 0, required ? 1.0 : 0.0, kSide, {}, required};
}
const Param kWidth = side("width", true), kHeight = side("height", false);
const Param kMethod = {"method", Param::word, 0, 0, 0, kMethods};
const Param kBorder = {"border", Param::word, 0, 0, 0, kBorders};

struct Size {
  int width, height;
};
/// Height 0 means a square.
Size size_of(const Args& a) {
  const int w = a.integer("width"), h = a.integer("height");
  return {w, h ? h : w};
}

Border border_of(const Args& a) { return border_from_name(a.word("border")); }

void resize_step(Sample& s, const Args& a, bool, Rng&) {
  const Size size = size_of(a);
  resize(s, size.width, size.height, resample_from_name(a.word("method")));
}

/// The picture scaled so that its shorter (or longer) side has `size` pixels.
void resize_side(Sample& s, int size, bool shorter, Resample method) {
  const int w = s.image.width, h = s.image.height;
  const int side = shorter ? std::min(w, h) : std::max(w, h);
  const auto scaled = [&](int v) {
    return std::max(1, static_cast<int>(std::lround(static_cast<double>(v) * size / side)));
  };
  resize(s, scaled(w), scaled(h), method);
}

void resize_short_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "resize_short");
  resize_side(s, a.integer("size"), true, resample_from_name(a.word("method")));
}

void centre_crop(Sample& s, Size size, float fill) {
  // floor((a - b) / 2), also where the window is larger
  const auto start = [](int have, int want) {
    return static_cast<int>(std::floor((have - want) / 2.0));
  };
  crop(s, start(s.image.width, size.width), start(s.image.height, size.height), size.width,
       size.height, Border::constant, fill);
}

void letterbox_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "letterbox");
  const int size = a.integer("size");
  resize_side(s, size, false, resample_from_name(a.word("method")));
  centre_crop(s, {size, size}, a.real("fill"));
}

void center_crop_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "center_crop");
  centre_crop(s, size_of(a), a.real("fill"));
}

void random_crop_step(Sample& s, const Args& a, bool training, Rng& rng) {
  need_image(s, "random_crop");
  const Size size = size_of(a);
  if (!training) return centre_crop(s, size, a.real("fill"));
  const int padding = a.integer("padding");
  // A window larger than the padded picture may start anywhere that keeps all of it.
  const auto start = [&](int have, int want) {
    const int room = have + 2 * padding - want;
    const auto at = static_cast<int>(rng.below(static_cast<uint64_t>(std::abs(room)) + 1));
    return (room >= 0 ? at : -at) - padding;
  };
  const int x = start(s.image.width, size.width), y = start(s.image.height, size.height);
  crop(s, x, y, size.width, size.height, border_of(a), a.real("fill"));
}

void random_resized_crop_step(Sample& s, const Args& a, bool training, Rng& rng) {
  need_image(s, "random_resized_crop");
  const Size size = size_of(a);
  const auto method = resample_from_name(a.word("method"));
  const int w = s.image.width, h = s.image.height;
  const auto cut = [&](int x, int y, int cw, int ch) {
    crop(s, x, y, cw, ch);
    resize(s, size.width, size.height, method);
  };
  if (training)
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = double(w) * h * rng.uniform(a.number("min_area"), a.number("max_area"));
      const double limit = std::log(a.number("ratio"));
      const double ratio = std::exp(rng.uniform(-limit, limit));
      const auto cw = static_cast<int>(std::lround(std::sqrt(area * ratio)));
      const auto ch = static_cast<int>(std::lround(std::sqrt(area / ratio)));
      if (cw < 1 || ch < 1 || cw > w || ch > h) continue;
      return cut(static_cast<int>(rng.below(static_cast<uint64_t>(w - cw) + 1)),
                 static_cast<int>(rng.below(static_cast<uint64_t>(h - ch) + 1)), cw, ch);
    }
  // The largest centred window of the wanted shape.
  const double scale = std::min(double(w) / size.width, double(h) / size.height);
  const int cw = std::clamp(static_cast<int>(std::lround(size.width * scale)), 1, w);
  const int ch = std::clamp(static_cast<int>(std::lround(size.height * scale)), 1, h);
  cut((w - cw) / 2, (h - ch) / 2, cw, ch);
}

void hflip_step(Sample& s, const Args& a, bool, Rng& rng) {
  if (!rng.bernoulli(a.number("p"))) return;
  flip(s);
  const auto& swap = a.list("swap");
  for (size_t i = 0; i + 1 < swap.size(); i += 2) {
    const auto left = static_cast<size_t>(swap[i]), right = static_cast<size_t>(swap[i + 1]);
    if (std::max(left, right) >= s.keypoints.size())
      fail(Error::Kind::shape, {"[hflip] swaps key points ", left, " and ", right,
                                ", the sample has ", s.keypoints.size()});
    std::swap(s.keypoints[left], s.keypoints[right]);
  }
}

void vflip_step(Sample& s, const Args& a, bool, Rng& rng) {
  if (rng.bernoulli(a.number("p"))) flip(s, true);
}

void rotate_step(Sample& s, const Args& a, bool, Rng& rng) {
  const double limit = a.number("degrees");
  rotate(s, rng.uniform(-limit, limit), border_of(a), a.real("fill"));
}

void rotate90_step(Sample& s, const Args&, bool, Rng& rng) {
  rotate90(s, static_cast<int>(rng.below(4)));
}

void rotation_task_step(Sample& s, const Args&, bool, Rng& rng) {
  s.label = static_cast<int64_t>(rng.below(4));
  rotate90(s, static_cast<int>(s.label));
}

Affine shearing(double degrees) { return {1, std::tan(degrees * std::numbers::pi / 180), 0}; }

void affine_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "affine");
  const double degrees = a.number("degrees"), shear = a.number("shear");
  const double move = a.number("translate"), zoom = a.number("scale");
  const int w = s.image.width, h = s.image.height;
  Affine map = rotation(rng.uniform(-degrees, degrees)).after(shearing(rng.uniform(-shear, shear)));
  const double scale = rng.uniform(1 - zoom, 1 + zoom);
  map = Affine{scale, 0, 0, 0, scale, 0}.after(map).about(w / 2.0, h / 2.0);
  map.x0 += rng.uniform(-move, move) * w;
  map.y0 += rng.uniform(-move, move) * h;
  warp(s, map, border_of(a), a.real("fill"));
}

void translate_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "translate");
  const double x = a.number("x") * s.image.width, y = a.number("y") * s.image.height;
  // Whole pixels keep the picture sharp.
  const double dx = std::round(rng.uniform(-x, x)), dy = std::round(rng.uniform(-y, y));
  translate(s, dx, dy, border_of(a), a.real("fill"));
}

void scale_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "scale");
  if (a.number("low") > a.number("high"))
    fail(Error::Kind::usage,
         {"[scale] low is ", a.number("low"), ", above high, ", a.number("high")});
  const double f = std::exp(rng.uniform(std::log(a.number("low")), std::log(a.number("high"))));
  warp(s, Affine{f, 0, 0, 0, f, 0}.about(s.image.width / 2.0, s.image.height / 2.0), border_of(a),
       a.real("fill"));
}

void shear_step(Sample& s, const Args& a, bool, Rng& rng) {
  need_image(s, "shear");
  const double limit = a.number("degrees");
  warp(s, shearing(rng.uniform(-limit, limit)).about(s.image.width / 2.0, s.image.height / 2.0),
       border_of(a), a.real("fill"));
}

void pad_step(Sample& s, const Args& a, bool, Rng&) {
  need_image(s, "pad");
  const int n = a.integer("pixels");
  crop(s, -n, -n, s.image.width + 2 * n, s.image.height + 2 * n, border_of(a), a.real("fill"));
}

}  // namespace

const std::vector<StepDef>& geometry_steps() {
  static const std::vector<StepDef> steps = {
      {"resize",
       "to width x height (a square if no height), not keeping proportions",
       {kWidth, kHeight, kMethod},
       false,
       resize_step},
      {"resize_short",
       "so that the shorter side has `size` pixels, keeping proportions",
       {side("size", true), kMethod},
       false,
       resize_short_step},
      {"letterbox",
       "to a square, keeping proportions, filled up at two sides",
       {side("size", true), kFill, kMethod},
       false,
       letterbox_step},
      {"center_crop",
       "the middle; filled up where the picture is smaller",
       {kWidth, kHeight, kFill},
       false,
       center_crop_step},
      {"random_crop",
       "a window at a uniform place, after padding; the middle outside training",
       {kWidth, kHeight, {"padding", Param::integer, 0, 0, kSide}, kFill, kBorder},
       false,
       random_crop_step},
      {"random_resized_crop",
       "a window of random area and shape, resized (Szegedy et al. 2015); the largest in the "
       "middle outside training",
       {kWidth, kHeight, number("min_area", 0.08, 1e-6, 1), number("max_area", 1, 1e-6, 1),
        number("ratio", 4.0 / 3, 1, 100), kMethod},
       false,
       random_resized_crop_step},
      {"hflip",
       "left and right exchanged; key points `swap` in pairs [left, right, ...]",
       {number("p", 0.5, 0, 1), {"swap", Param::list, 0, 0, 1e6}},
       true,
       hflip_step},
      {"vflip", "up and down exchanged", {number("p", 0.5, 0, 1)}, true, vflip_step},
      {"rotate",
       "by an angle of up to `degrees` either way; the size stays",
       {needed("degrees", 0, 360), kBorder, kFill},
       true,
       rotate_step},
      {"rotate90", "by 0, 1, 2 or 3 quarter turns", {}, true, rotate90_step},
      {"rotation_task",
       "by k quarter turns, and k as the label (Gidaris et al. 2018); in evaluation too",
       {},
       false,
       rotation_task_step},
      {"affine",
       "rotation, shear (degrees), zoom 1 - scale to 1 + scale and shift (part of the side)",
       {number("degrees", 0, 0, 360), number("translate", 0, 0, 1), number("scale", 0, 0, 0.95),
        number("shear", 0, 0, 80), kBorder, kFill},
       true,
       affine_step},
      {"translate",
       "by up to x and y parts of the sides, whole pixels",
       {number("x", 0.1, 0, 1), number("y", 0.1, 0, 1), kBorder, kFill},
       true,
       translate_step},
      {"scale",
       "zoom by low to high about the middle; the size stays",
       {needed("low", 0.01, 100), needed("high", 0.01, 100), kBorder, kFill},
       true,
       scale_step},
      {"shear",
       "along x by an angle of up to `degrees` either way",
       {needed("degrees", 0, 80), kBorder, kFill},
       true,
       shear_step},
      {"pad",
       "by pixels on all sides",
       {{"pixels", Param::integer, 0, 0, kSide, {}, true}, kFill, kBorder},
       false,
       pad_step},
  };
  return steps;
}

}  // namespace nacre::data
