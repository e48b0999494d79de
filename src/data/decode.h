// One decoder per picture format; decode_image() chooses.
#pragma once

#include "data/bytes.h"
#include "nacre/image.h"

namespace nacre::data {

/// Bytes, name for messages and limits of one decoding.
struct Source {
  std::span<const uint8_t> bytes;
  std::string_view name;
  const DecodeLimits& limits;

  [[noreturn]] void damaged(std::string_view format, std::string_view reason) const;
  /// Throws Error unless the sides are positive and within the limits.
  void check_size(int64_t width, int64_t height) const;
  /// Throws Error (data) if the pixels need more bytes than `left`.
  void check_bytes(uint64_t needed, uint64_t left) const;
};

Image decode_png(const Source& source);
Image decode_jpeg(const Source& source);
Image decode_webp(const Source& source);
Image decode_bmp(const Source& source);
Image decode_pnm(const Source& source);

/// Pixels of 8 bits as 0..1.
Image from_u8(int width, int height, int channels, std::span<const uint8_t> values);

/// Undoes an EXIF orientation (1 to 8; others are taken as 1).
Image upright(Image image, int orientation);

}  // namespace nacre::data
