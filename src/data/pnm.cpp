// Portable grey and pixel maps: P2, P3 (text), P5, P6 (binary, 8 or 16 bits).
#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The next number of the text, after blanks and comments.
uint32_t number(ByteReader& in, const Source& source) {
  uint8_t c = in.u8();
  while (is_space(c) || c == '#') {
    if (c == '#')
      while (c != '\n') c = in.u8();
    c = in.u8();
  }
  uint32_t value = 0;
  int digits = 0;
  for (;; c = in.u8()) {
    if (c < '0' || c > '9') break;
    if (++digits > 9) source.damaged("PNM", "a number has more than 9 digits");
    value = value * 10 + (c - '0');
    if (in.left() == 0) return value;
  }
  if (digits == 0 || !is_space(c)) source.damaged("PNM", "expected a number");
  return value;
}

}  // namespace

Image decode_pnm(const Source& source) {
  ByteReader in(source.bytes, source.name);
  in.skip(1);
  const int kind = in.u8() - '0';
  const int channels = kind == 3 || kind == 6 ? 3 : 1;
  const int64_t width = number(in, source), height = number(in, source);
  const uint32_t top = number(in, source);
  source.check_size(width, height);
  if (top < 1 || top > 65535)
    source.damaged("PNM", cat({"the largest value is ", top, ", must be 1 to 65535"}));
  const bool text = kind <= 3;
  const uint64_t count = static_cast<uint64_t>(width * height * channels);
  source.check_bytes(text ? 2 * count - 1 : count * (top > 255 ? 2 : 1), in.left());
  Image image(static_cast<int>(width), static_cast<int>(height), channels);
  for (float& p : image.pixels) {
    const uint32_t v = text ? number(in, source) : top > 255 ? in.be16() : in.u8();
    if (v > top) source.damaged("PNM", cat({"value ", v, " is above the largest, ", top}));
    p = static_cast<float>(v) / static_cast<float>(top);
  }
  return image;
}

}  // namespace nacre::data
