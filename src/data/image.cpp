#include "nacre/image.h"

#include <array>
#include <cstring>
#include <limits>
#include <ranges>

#include "base/file.h"
#include "data/decode.h"
#include "nacre/error.h"

namespace nacre {
namespace data {

void Source::damaged(std::string_view format, std::string_view reason) const {
  fail(Error::Kind::data, {name, ": ", format, " cannot be decoded: ", reason});
}

void Source::check_size(int64_t width, int64_t height) const {
  if (width < 1 || height < 1)
    fail(Error::Kind::data, {name, ": the header says ", static_cast<long>(width), "x",
                             static_cast<long>(height), " pixels"});
  if (width > limits.max_side || height > limits.max_side || width > limits.max_pixels / height)
    fail(Error::Kind::memory, {name, ": ", static_cast<long>(width), "x", static_cast<long>(height),
                               " pixels are over the limit of ", static_cast<long>(limits.max_side),
                               " a side and ", static_cast<long>(limits.max_pixels), " in all"});
}

void Source::check_bytes(uint64_t needed, uint64_t left) const {
  if (needed > left)
    fail(Error::Kind::data,
         {name, ": is truncated: the header asks for ", static_cast<unsigned long>(needed),
          " bytes, at most ", static_cast<unsigned long>(left), " are there"});
}

Image from_u8(int width, int height, int channels, std::span<const uint8_t> values) {
  static const auto shares = [] {
    std::array<float, 256> list{};
    for (size_t i = 0; i < list.size(); ++i) list[i] = static_cast<float>(i) / 255.0f;
    return list;
  }();
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  // Written once: no zeros first.
  const auto floats = values.first(static_cast<size_t>(width) * static_cast<size_t>(height) *
                                   static_cast<size_t>(channels)) |
                      std::views::transform([](uint8_t v) -> const float& { return shares[v]; });
  image.pixels.assign(floats.begin(), floats.end());
  return image;
}

Image upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool swap = orientation >= 5;  // 5 to 8 lie on their side
  const bool mirror_x =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out(swap ? image.height : image.width, swap ? image.width : image.height, image.channels);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const int u = swap ? y : x, v = swap ? x : y;
      const int from_x = mirror_x ? image.width - 1 - u : u;
      const int from_y = mirror_y ? image.height - 1 - v : v;
      std::memcpy(&out.at(x, y), &image.at(from_x, from_y),
                  sizeof(float) * static_cast<size_t>(image.channels));
    }
  return out;
}

}  // namespace data

Image::Image(int w, int h, int c, float value) : width(w), height(h), channels(c) {
  if (w < 0 || h < 0 || c < 0 || (c > 0 && int64_t{w} * h > (int64_t{1} << 40) / c))
    fail(Error::Kind::memory, {"a picture of ", w, "x", h, " with ", c, " channels is too large"});
  pixels.assign(static_cast<size_t>(w) * static_cast<size_t>(h) * static_cast<size_t>(c), value);
}

ImageFormat image_format(std::span<const uint8_t> b) {
  const auto starts = [&](std::string_view magic, size_t at = 0) {
    return b.size() >= at + magic.size() &&
           std::memcmp(b.data() + at, magic.data(), magic.size()) == 0;
  };
  if (starts("\x89PNG\r\n\x1a\n")) return ImageFormat::png;
  if (starts("\xff\xd8\xff")) return ImageFormat::jpeg;
  if (starts("RIFF") && starts("WEBP", 8)) return ImageFormat::webp;
  if (starts("BM") && b.size() >= 26) return ImageFormat::bmp;
  if (b.size() >= 3 && b[0] == 'P' && std::strchr("2356", b[1]) && b[1] &&
      std::strchr(" \t\r\n#", b[2]) && b[2])
    return ImageFormat::pnm;
  return ImageFormat::unknown;
}

Image decode_image(std::span<const uint8_t> bytes, std::string_view name,
                   const DecodeLimits& limits) {
  const data::Source source{bytes, name, limits};
  if (bytes.empty()) fail(Error::Kind::data, {name, ": the file has 0 bytes"});
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes)
    fail(Error::Kind::data, {name, ": has ", static_cast<unsigned long>(bytes.size()),
                             " bytes, at most ", static_cast<long>(limits.max_bytes), " are read"});
  switch (image_format(bytes)) {
    case ImageFormat::png:
      return data::decode_png(source);
    case ImageFormat::jpeg:
      return data::decode_jpeg(source);
    case ImageFormat::webp:
      return data::decode_webp(source);
    case ImageFormat::bmp:
      return data::decode_bmp(source);
    case ImageFormat::pnm:
      return data::decode_pnm(source);
    case ImageFormat::unknown:
      break;
  }
  fail(Error::Kind::data,
       {name, ": is not a picture (PNG, JPEG, WebP, BMP, PGM and PPM are read)"});
}

Image read_image(const std::string& path, const DecodeLimits& limits) {
  const std::string bytes = read_file(path, static_cast<uint64_t>(limits.max_bytes));
  return decode_image(data::bytes_of(bytes), path, limits);
}

void write_png(const std::string& path, const Image& image, int bits) {
  const auto bytes = encode_png(image, bits);
  write_file_atomic(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Image to_channels(const Image& image, int channels) {
  if (channels < 1 || channels > 4 || image.channels < 1 || image.channels > 4)
    fail(Error::Kind::shape,
         {"[to_channels] cannot turn ", image.channels, " channels into ", channels});
  if (channels == image.channels) return image;
  const bool had_alpha = image.channels % 2 == 0, keeps_alpha = channels % 2 == 0;
  const int colours = channels >= 3 ? 3 : 1, had = image.channels >= 3 ? 3 : 1;
  Image out(image.width, image.height, channels);
  const float* p = image.pixels.data();
  float* q = out.pixels.data();
  for (size_t i = image.pixels.size() / static_cast<size_t>(image.channels); i > 0; --i) {
    float rgb[3] = {p[0], p[had == 3 ? 1 : 0], p[had == 3 ? 2 : 0]};
    const float alpha = had_alpha ? p[had] : 1.0f;
    if (had_alpha && !keeps_alpha)
      for (float& v : rgb) v = v * alpha + (1 - alpha);
    if (colours == 1)
      q[0] = had == 1 ? rgb[0] : 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
    else
      std::memcpy(q, rgb, sizeof(rgb));
    if (keeps_alpha) q[colours] = alpha;
    p += image.channels;
    q += channels;
  }
  return out;
}

}  // namespace nacre
