// Work on pictures: warps, filters, colours, drawing, and the tensor that a network takes.
//
//   Image photo = read_image("street.jpg");
//   Image level = warp(photo, projection({{{80, 40}, {420, 60}, {440, 300}, {60, 280}}},
//                                        {{{0, 0}, {320, 0}, {320, 240}, {0, 240}}}), 320, 240);
//   Image edges = sobel(to_channels(gaussian_blur(level, 1.5), 1), Axis::x);
//   draw_rectangle(photo, 80, 40, 340, 240, {1, 0, 0}, 3);
//   draw_text(photo, 84, 44, "door 93 %", {1, 1, 1}, 2);
//   Tensor x = blob({&photo, 1}, {.width = 224, .height = 224, .mean = {0.485f, 0.456f, 0.406f}});
//   Tensor y = onnx::load("net.onnx")->operator()(x, ctx);
//
// Places are in pixels: pixel i covers i to i + 1, its centre is at i + 1/2. Functions of one
// picture give a new one and keep its channels; all are thread-safe. Reading, writing and resizing
// are in nacre/image.h, steps of training pipelines in nacre/transforms.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "nacre/image.h"
#include "nacre/tensor.h"
#include "nacre/transforms.h"

namespace nacre {

// ---- warps

struct Point {
  double x = 0, y = 0;
};

/// (x, y) -> ((m0 x + m1 y + m2) / w, (m3 x + m4 y + m5) / w) with w = m6 x + m7 y + m8; an affine
/// map has 0, 0, 1 in its last row.
using Projection = std::array<double, 9>;

/// The affine map of three points to three others, and the projection of four to four. Throws
/// Error (numeric) if three of the points lie on a line.
Projection affine(const std::array<Point, 3>& from, const std::array<Point, 3>& to);
Projection projection(const std::array<Point, 4>& from, const std::array<Point, 4>& to);

/// The picture moved by `forward` into one of that size, bilinear. What comes from outside is as
/// `border` says. Throws Error (numeric) for a map that cannot be undone, (shape) for sizes
/// below 1.
Image warp(const Image& image, const Projection& forward, int width, int height,
           Border border = Border::constant, float fill = 0);

// ---- filters; with Border::constant what lies outside is 0

/// Weights of a normal distribution up to 3 sigma away. Throws Error (usage) for sigma not above 0
/// and not up to 1000.
Image gaussian_blur(const Image& image, double sigma, Border border = Border::reflect);
/// Mean and median of squares of size x size pixels; size is odd, up to 255. Else Error (usage).
Image box_blur(const Image& image, int size, Border border = Border::reflect);
Image median_blur(const Image& image, int size, Border border = Border::edge);
/// Each pixel becomes the sum of its neighbours times a kernel (row after row, not mirrored) of odd
/// width and height, whose middle lies on the pixel. Values are not clamped. Throws Error (usage)
/// if the kernel does not have width x height values.
Image convolve(const Image& image, std::span<const float> kernel, int width, int height,
               Border border = Border::reflect);
enum class Axis { x, y };
/// The derivative along an axis by the 3x3 kernel of Sobel, (-1 0 1) times (1 2 1).
Image sobel(const Image& image, Axis axis, Border border = Border::reflect);

// ---- colours; grey is to_channels(image, 1)

///   hsv    hue (part of the circle, red is 0), saturation, value: the hexagon model
///   ycbcr  ITU-R BT.601 in full range as in JPEG files, colour differences about 1/2
enum class ColourSpace { hsv, ycbcr };
/// Pictures of 3 or 4 channels; alpha stays. Throws Error (shape) for others.
Image from_rgb(const Image& image, ColourSpace space);
Image to_rgb(const Image& image, ColourSpace space);

// ---- drawing, in place; what lies outside the picture is left out

/// Red, green, blue and alpha; pictures of one or two channels take the grey of it.
using Colour = std::array<float, 4>;
constexpr Colour kBlack = {0, 0, 0, 1}, kWhite = {1, 1, 1, 1};

/// The line between the centres of two pixels: one pixel in each column, or row where it is steep;
/// with a thickness all pixels no further than half of it away.
void draw_line(Image& image, int x0, int y0, int x1, int y1, const Colour& colour,
               double thickness = 1);
/// The border, inwards, of a rectangle of that size; thickness 0 fills it.
void draw_rectangle(Image& image, int x, int y, int width, int height, const Colour& colour,
                    int thickness = 1);
/// The border, inwards, of a circle about the centre of a pixel; thickness 0 fills it.
void draw_circle(Image& image, int x, int y, int radius, const Colour& colour,
                 double thickness = 1);
/// Letters (drawn as capitals), digits and signs of ASCII, 5 x 7 pixels and one between, `scale`
/// times as large, from the upper left corner; a line feed begins a new line, others are a box.
void draw_text(Image& image, int x, int y, std::string_view text, const Colour& colour,
               int scale = 1);

// ---- into a network

struct BlobOptions {
  int width = 0, height = 0;     ///< 0: as the pictures are, which then have one size
  std::vector<float> mean = {};  ///< taken away, a value for each channel or one for all
  float scale = 1;               ///< multiplied then; 255 gives what bytes would
  bool swap = false;             ///< red and blue exchanged, before the mean
  bool crop = false;             ///< keeps the proportions and cuts what is over, from the middle
};
/// Pictures as [n, channels, height, width], (value - mean) * scale, resized bilinearly without
/// antialiasing. Throws Error (shape) if pictures differ in channels or size, (usage) for none,
/// sides above 65500 or a mean of another length, (memory) if `crop` needs larger sides than that.
Tensor blob(std::span<const Image> pictures, const BlobOptions& options = {});

}  // namespace nacre
