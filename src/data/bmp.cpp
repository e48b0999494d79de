// BMP, uncompressed: 1, 4, 8 bits with a palette, 16, 24, 32 bits, with or without bit fields.
#include <bit>

#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

struct Header {
  uint32_t pixels_at = 0, header_size = 0, compression = 0, colours = 0;
  int64_t width = 0, height = 0;
  bool top_down = false;
  int bits = 0;
  uint32_t mask[4] = {};  // red, green, blue, alpha
};

Header read_header(ByteReader& in, const Source& source) {
  Header h;
  in.skip(10);
  h.pixels_at = in.le32();
  h.header_size = in.le32();
  if (h.header_size == 12) {
    h.width = in.le16();
    h.height = in.le16();
    in.skip(2);
    h.bits = in.le16();
    return h;
  }
  if (h.header_size < 40 || h.header_size > 4096)
    source.damaged("BMP", cat({"header of ", h.header_size, " bytes is not known"}));
  h.width = static_cast<int32_t>(in.le32());
  h.height = static_cast<int32_t>(in.le32());
  h.top_down = h.height < 0;
  if (h.top_down) h.height = -h.height;
  in.skip(2);
  h.bits = in.le16();
  h.compression = in.le32();
  in.skip(12);
  h.colours = in.le32();
  in.skip(4);
  if (h.compression == 3 || h.compression == 6) {
    const int masks = h.header_size >= 56 || h.compression == 6 ? 4 : 3;
    for (int i = 0; i < masks; ++i) h.mask[i] = in.le32();
  } else if (h.bits == 16) {
    h.mask[0] = 0x7c00, h.mask[1] = 0x03e0, h.mask[2] = 0x001f;
  } else if (h.bits == 32) {
    h.mask[0] = 0xff0000, h.mask[1] = 0xff00, h.mask[2] = 0xff;
  }
  return h;
}

float field(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  return static_cast<float>(static_cast<double>((pixel & mask) >> shift) / (mask >> shift));
}

}  // namespace

Image decode_bmp(const Source& source) {
  ByteReader in(source.bytes, source.name);
  const Header h = read_header(in, source);
  source.check_size(h.width, h.height);
  if (h.compression != 0 && h.compression != 3 && h.compression != 6)
    fail(Error::Kind::unsupported,
         {source.name, ": BMP compression ", h.compression, " is not read"});
  const int bits = h.bits;
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
    source.damaged("BMP", cat({bits, " bits a pixel do not exist"}));
  if (h.compression != 0 && bits != 16 && bits != 32)
    source.damaged("BMP", cat({"bit fields with ", bits, " bits a pixel"}));

  std::vector<uint8_t> palette;  // blue, green, red
  if (bits <= 8) {
    const uint32_t most = 1u << bits;
    const uint32_t colours = h.colours == 0 || h.colours > most ? most : h.colours;
    in.seek(size_t{14} + h.header_size);
    for (uint32_t i = 0; i < colours; ++i) {
      const auto entry = in.take(h.header_size == 12 ? 3 : 4);
      palette.insert(palette.end(), entry.begin(), entry.begin() + 3);
    }
  }
  in.seek(h.pixels_at);
  const uint64_t stride =
      (static_cast<uint64_t>(h.width) * static_cast<uint64_t>(bits) + 31) / 32 * 4;
  source.check_bytes(stride * static_cast<uint64_t>(h.height), in.left());

  const int channels = h.mask[3] ? 4 : 3;
  Image image(static_cast<int>(h.width), static_cast<int>(h.height), channels);
  for (int row = 0; row < image.height; ++row) {
    const auto line = in.take(stride);
    float* out = image.pixels.data() + image.offset(0, h.top_down ? row : image.height - 1 - row);
    for (size_t x = 0; x < static_cast<size_t>(image.width); ++x, out += channels) {
      if (bits <= 8) {
        const size_t at = x * static_cast<size_t>(bits);
        const size_t index =
            line[at / 8] >> (8 - bits - static_cast<int>(at % 8)) & ((1 << bits) - 1);
        if (index * 3 >= palette.size())
          source.damaged("BMP",
                         cat({"colour ", index, " is not in the palette of ", palette.size() / 3}));
        for (size_t c = 0; c < 3; ++c) out[c] = palette[index * 3 + 2 - c] / 255.0f;
      } else if (bits == 24) {
        for (size_t c = 0; c < 3; ++c) out[c] = line[3 * x + 2 - c] / 255.0f;
      } else {
        uint32_t pixel = line[x * static_cast<size_t>(bits / 8)];
        for (size_t k = 1; k < static_cast<size_t>(bits / 8); ++k)
          pixel |= static_cast<uint32_t>(line[x * static_cast<size_t>(bits / 8) + k]) << (8 * k);
        for (int c = 0; c < channels; ++c) out[c] = field(pixel, h.mask[c]);
      }
    }
  }
  return image;
}

}  // namespace nacre::data
