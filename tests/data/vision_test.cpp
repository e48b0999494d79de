// Work on pictures against OpenCV and Pillow (vision/make_goldens.py).
#include "nacre/vision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "nacre/error.h"
#include "nacre/onnx.h"

namespace nacre {
namespace {

const std::string kFolder = std::string(NACRE_SOURCE_DIR) + "/tests/data/vision/";

struct Expected {
  Shape shape;
  std::vector<float> values;
};

const Expected& expected(const std::string& name) {
  static const auto all = [] {
    std::map<std::string, Expected> cases;
    std::ifstream file(kFolder + "expected.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream in(line);
      std::string key;
      int64_t rank = 0;
      in >> key >> rank;
      Expected& e = cases[key];
      for (int64_t d = 0; d < rank; ++d) {
        int64_t size = 0;
        in >> size;
        e.shape.push_back(size);
      }
      e.values.resize(static_cast<size_t>(e.shape.numel()));
      for (float& v : e.values) in >> v;
    }
    return cases;
  }();
  return all.at(name);
}

const Image& picture() {
  static const Image image = read_image(kFolder + "picture.png");
  return image;
}

/// The largest difference from a reference of the same shape.
double far(std::span<const float> values, const Shape& shape, const std::string& name) {
  const Expected& e = expected(name);
  EXPECT_EQ(shape, e.shape);
  if (shape != e.shape) return INFINITY;
  double most = 0;
  for (size_t k = 0; k < values.size(); ++k)
    most = std::max(most, static_cast<double>(std::abs(values[k] - e.values[k])));
  return most;
}
double far(const Image& image, const std::string& name) {
  return far(image.pixels, {image.height, image.width, image.channels}, name);
}
double far(const Tensor& t, const std::string& name) {
  return far(t.to_vector<float>(), t.shape(), name);
}
double far(const Projection& m, const std::string& name) {
  return far(std::vector<float>(m.begin(), m.end()), {3, 3}, name);
}

TEST(Vision, Warps) {
  const Projection three = affine({{{2, 1}, {15, 3}, {4, 12}}}, {{{1, 2}, {12, 1}, {6, 9}}});
  EXPECT_LT(far(three, "affine"), 1e-6);
  EXPECT_LT(far(warp(picture(), three, 14, 11), "warp_affine"), 1e-5);
  const Projection four =
      projection({{{2, 1}, {15, 3}, {16, 12}, {1, 10}}}, {{{0, 0}, {12, 0}, {12, 10}, {0, 10}}});
  EXPECT_LT(far(four, "projection"), 1e-6);
  EXPECT_LT(far(warp(picture(), four, 12, 10), "warp_projection"), 1e-5);
  EXPECT_EQ(warp(picture(), {1, 0, 0, 0, 1, 0, 0, 0, 1}, picture().width, picture().height),
            picture());
}

TEST(Vision, Filters) {
  EXPECT_LT(far(gaussian_blur(picture(), 1.3), "gaussian"), 1e-5);
  EXPECT_LT(far(box_blur(picture(), 5), "box"), 1e-5);
  EXPECT_LT(far(median_blur(picture(), 5), "median"), 1e-6);
  const std::vector<float> kernel = {1, -2, 0.5, 0, 3, -1, 0.25, 0, 2, 1, 1, -1, 0, 0.5, 0};
  EXPECT_LT(far(convolve(picture(), kernel, 3, 5), "convolve"), 1e-5);
  EXPECT_LT(far(sobel(picture(), Axis::x), "sobel_x"), 1e-5);
  EXPECT_LT(far(sobel(picture(), Axis::y), "sobel_y"), 1e-5);
}

TEST(Vision, Colours) {
  EXPECT_LT(far(from_rgb(picture(), ColourSpace::hsv), "hsv"), 1e-5);
  EXPECT_LT(far(from_rgb(picture(), ColourSpace::ycbcr), "ycbcr"), 3e-4);  // its 0.713 is rounded
  EXPECT_LT(far(to_channels(picture(), 1), "grey"), 1e-5);
  EXPECT_LT(far(resize(picture(), 11, 20, Resample::bilinear, false), "resize"), 1e-5);
  for (const ColourSpace space : {ColourSpace::hsv, ColourSpace::ycbcr}) {
    const Image back = to_rgb(from_rgb(picture(), space), space);
    for (size_t k = 0; k < back.pixels.size(); ++k)
      ASSERT_NEAR(back.pixels[k], picture().pixels[k], 2e-6);
  }
}

/// Pixels that differ from what OpenCV draws, of those that either has.
double differing(const std::string& name, void (*draw)(Image&)) {
  Image image(50, 40, 1);
  draw(image);
  const Expected& e = expected(name);
  int either = 0, different = 0;
  for (size_t k = 0; k < image.pixels.size(); ++k) {
    either += image.pixels[k] != 0 || e.values[k] != 0;
    different += (image.pixels[k] != 0) != (e.values[k] != 0);
  }
  return double(different) / either;
}

TEST(Vision, Drawings) {
  EXPECT_EQ(differing("rectangle", [](Image& i) { draw_rectangle(i, 6, 8, 25, 18, kWhite); }), 0);
  EXPECT_EQ(
      differing("filled_rectangle", [](Image& i) { draw_rectangle(i, 35, 20, 26, 26, kWhite, 0); }),
      0);
  // Which of two pixels at the same distance is taken, and round ends, are matters of taste.
  EXPECT_LE(differing("line", [](Image& i) { draw_line(i, 3, 5, 44, 31, kWhite); }), 0.05);
  EXPECT_LE(differing("thick_line", [](Image& i) { draw_line(i, 40, 4, 8, 35, kWhite, 4); }), 0.05);
  EXPECT_LE(differing("circle", [](Image& i) { draw_circle(i, 24, 19, 14, kWhite); }), 0.15);
  EXPECT_EQ(differing("filled_circle", [](Image& i) { draw_circle(i, 40, 30, 15, kWhite, 0); }), 0);
  Image colours(4, 4, 4);
  draw_rectangle(colours, 1, 1, 2, 2, {0.25f, 0.5f, 0.75f, 1}, 0);
  EXPECT_EQ(colours.at(2, 2, 2), 0.75f);
  EXPECT_EQ(colours.at(3, 2, 2), 0);
  draw_circle(colours, 2000000000, -2000000000, 2147483647, kWhite, 1e6);  // far outside
  draw_line(colours, -2147483647, -2147483647, 2147483647, 2147483646, kWhite, 3);
}

TEST(Vision, Text) {
  Image h(6, 8, 1);
  draw_text(h, 0, 0, "h", kWhite);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 6; ++x)
      EXPECT_EQ(h.at(x, y), y < 7 && (x == 0 || x == 4 || (y == 3 && x < 4)) ? 1 : 0);
  std::set<std::vector<float>> seen;
  for (char c = ' '; c < 127; ++c) {
    if (c >= 'a' && c <= 'z') continue;
    Image one(6, 8, 1), large(12, 16, 1), line(12, 16, 1);
    draw_text(one, 0, 0, std::string(1, c), kWhite);
    EXPECT_TRUE(seen.insert(one.pixels).second) << c;
    draw_text(large, 0, 0, std::string(1, c), kWhite, 2);
    EXPECT_EQ(large, resize(one, 12, 16, Resample::nearest)) << c;
    draw_text(line, 0, 0, std::string("\n ") + c, kWhite);
    EXPECT_EQ(line.at(8, 11), one.at(2, 3)) << c;
  }
}

TEST(Vision, BlobsAndWhatANetworkMakesOfThem) {
  const std::vector<float> mean = {0.485f, 0.456f, 0.406f};
  Image turned = picture();
  for (int y = 0; y < turned.height; ++y)
    for (int x = 0; x < turned.width; ++x)
      for (int c = 0; c < 3; ++c) turned.at(x, y, c) = picture().at(x, turned.height - 1 - y, c);
  const Image two[] = {picture(), turned};
  const BlobOptions options{.width = 12, .height = 12, .mean = mean, .scale = 4, .swap = true};
  EXPECT_LT(far(blob(two, options), "blob"), 1e-5);
  EXPECT_LT(far(blob({two, 1}, {.width = 7, .height = 7, .crop = true}), "blob_crop"), 1e-5);
  const auto net = onnx::load(kFolder + "net.onnx");
  Context ctx = Context::eval();
  const Tensor x = blob({two, 1}, {.width = 12, .height = 12, .mean = mean});
  EXPECT_LT(far((*net)(x, ctx), "net"), 1e-4);
}

TEST(Vision, MistakesAreNamed) {
  const auto message = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const Image& p = picture();
  const std::vector<Image> none, sizes = {p, Image(3, 3, 3)};
  const auto expect = [&](const std::string& part, const std::function<void()>& f) {
    EXPECT_NE(message(f).find(part), std::string::npos) << message(f);
  };
  expect("three of the points lie on a line", [] {
    affine({{{0, 0}, {1, 1}, {2, 2}}}, {{{0, 0}, {1, 0}, {0, 1}}});
  });
  expect("cannot be undone", [&] { warp(p, {1, 1, 0, 1, 1, 0, 0, 0, 1}, 3, 3); });
  expect("sigma is above 0", [&] { gaussian_blur(p, 0); });
  expect("the size is odd", [&] { median_blur(p, 4); });
  expect("has 9 values, not 4", [&] { convolve(p, std::vector<float>(4), 3, 3); });
  expect("has no colours", [] { from_rgb(Image(2, 2, 1), ColourSpace::hsv); });
  expect("there are no pictures", [&] { blob(none); });
  expect("pictures of one size", [&] { blob(sizes); });
  expect("width and height are from 0 to 65500", [&] { blob({&p, 1}, {.width = 65501}); });
  const Image wide(3000, 1, 1);
  expect("would have to become 1000 times as large", [&] {
    blob({&wide, 1}, {.width = 1, .height = 1000, .crop = true});
  });
  expect("the mean has 2 values", [&] { blob({&p, 1}, {.mean = {1, 2}}); });
}

}  // namespace
}  // namespace nacre
