// Pictures: decoding, encoding, resizing.
//
//   Image photo = read_image("cat.jpg");                 // 3 channels, upright, values 0..1
//   Image small = resize(photo, 224, 224);               // bilinear, antialiased
//   write_png("small.png", small);
//
// The kind of a file is told by its content, never by its name. Sizes are read from the header and
// checked against DecodeLimits before memory is taken. Every function is thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

/// A picture: rows from top to bottom, channels interleaved (height, width, channels), values 0..1.
/// Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. Alpha is not premultiplied.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<float> pixels;

  Image() = default;
  /// A picture of one value. Throws Error (memory) if a size is negative or the product overflows.
  Image(int width, int height, int channels, float value = 0);

  bool empty() const { return pixels.empty(); }
  size_t offset(int x, int y) const {
    return (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) *
           static_cast<size_t>(channels);
  }
  float& at(int x, int y, int c = 0) { return pixels[offset(x, y) + static_cast<size_t>(c)]; }
  float at(int x, int y, int c = 0) const { return pixels[offset(x, y) + static_cast<size_t>(c)]; }
  friend bool operator==(const Image&, const Image&) = default;
};

/// What a file may ask for before its pixels are decoded.
struct DecodeLimits {
  int64_t max_side = 65500;               ///< pixels
  int64_t max_pixels = int64_t{1} << 26;  ///< width times height; 64 Mi, 768 MB as RGB floats
  int64_t max_bytes = int64_t{1} << 29;   ///< of the file
};

enum class ImageFormat { unknown, png, jpeg, webp, bmp, pnm };

/// Tells the format from the first bytes.
ImageFormat image_format(std::span<const uint8_t> bytes);

/// Decodes PNG (all colour types, 8 and 16 bits, interlaced), JPEG (grey, RGB, CMYK; the EXIF
/// orientation is applied), WebP (still), BMP (uncompressed) and PGM, PPM (P2, P3, P5, P6).
/// Palettes and CMYK become RGB; transparency becomes an alpha channel. `name` is used in messages.
/// Throws Error: data (empty, truncated, not a picture), memory (sides over a limit), unsupported.
Image decode_image(std::span<const uint8_t> bytes, std::string_view name = "picture",
                   const DecodeLimits& limits = {});

/// decode_image of a file. Throws Error (io) if it cannot be read.
Image read_image(const std::string& path, const DecodeLimits& limits = {});

/// A PNG file of 8 or 16 bits a channel; values are clamped to 0..1 and rounded to nearest.
std::vector<uint8_t> encode_png(const Image& image, int bits = 8);

/// Writes beside the file and renames.
void write_png(const std::string& path, const Image& image, int bits = 8);

/// Filters of resize. The centre of pixel i lies at i + 1/2 in all of them.
///   nearest   the pixel that holds the centre
///   bilinear  triangle of radius 1
///   bicubic   Keys (1981) with a = -1/2; results are clamped to 0..1
///   area      mean over the exact area of the new pixel
enum class Resample { nearest, bilinear, bicubic, area };

std::string_view name_of(Resample method);
/// Throws Error (usage) if there is none of that name.
Resample resample_from_name(std::string_view name);

/// A picture of another size. With `antialias`, bilinear and bicubic are widened by the scale when
/// shrinking (as Pillow does); without, they look at the nearest 2 or 4 pixels only. Weights that
/// fall outside are dropped and the rest rescaled to sum 1. Throws Error (shape) for sizes below 1.
Image resize(const Image& image, int width, int height, Resample method = Resample::bilinear,
             bool antialias = true);

/// Another number of channels (1 to 4). Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); alpha
/// is laid over white when dropped, and is 1 when added.
Image to_channels(const Image& image, int channels);

}  // namespace nacre
