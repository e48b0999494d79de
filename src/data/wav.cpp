// WAV: chunks of a RIFF file, of which the format and the data are looked at.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "data/decode.h"
#include "nacre/audio.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kMaxChannels = 64;
constexpr uint32_t kToTheEnd = 0xffffffff;  // what writers to a pipe put for the size

enum Code : uint16_t { kPcm = 1, kFloat = 3, kExtensible = 0xfffe };

struct Format {
  uint16_t code = 0, channels = 0, block = 0, bits = 0;
  uint32_t rate = 0;
};

std::string_view name_of_code(uint16_t code) {
  switch (code) {
    case 2:
    case 0x11:
      return " (ADPCM)";
    case 6:
      return " (A-law)";
    case 7:
      return " (mu-law)";
    case 0x50:
    case 0x55:
      return " (MPEG)";
    default:
      return "";
  }
}

Format read_format(std::span<const uint8_t> chunk, const data::Source& source) {
  if (chunk.size() < 16)
    source.damaged("WAV", cat({"its format has ", chunk.size(), " bytes, not 16"}));
  data::ByteReader in(chunk, source.name);
  Format f;
  f.code = in.le16();
  f.channels = in.le16();
  f.rate = in.le32();
  in.skip(4);
  f.block = in.le16();
  f.bits = in.le16();
  if (f.code == kExtensible && chunk.size() >= 26) {
    in.skip(8);
    f.code = in.le16();
  }
  const bool known = (f.code == kPcm && f.bits % 8 == 0 && f.bits >= 8 && f.bits <= 32) ||
                     (f.code == kFloat && (f.bits == 32 || f.bits == 64));
  if (!known)
    fail(Error::Kind::unsupported,
         {source.name, ": WAV of format ", f.code, name_of_code(f.code), " and ", f.bits,
          " bits is not read; integers of 8, 16, 24 or 32 bits and floats of 32 or 64 are"});
  if (f.channels < 1 || f.channels > kMaxChannels)
    source.damaged("WAV", cat({"it has ", f.channels, " channels, not 1 to ", kMaxChannels}));
  if (f.rate < 1 || f.rate > kMaxSampleRate)
    source.damaged("WAV", cat({"its rate is ", f.rate, " Hz, not 1 to ", kMaxSampleRate}));
  if (f.block != f.channels * f.bits / 8)
    source.damaged("WAV",
                   cat({f.channels, " channels of ", f.bits, " bits in ", f.block, " bytes"}));
  return f;
}

/// One number as -1..1.
double value_at(const uint8_t* p, const Format& f) {
  if (f.code == kFloat && f.bits == 32) {
    float v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  if (f.code == kFloat) {
    double v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  if (f.bits == 8) return (p[0] - 128) / 128.0;
  uint32_t v = 0;  // the highest bits
  for (int byte = 0; byte < f.bits / 8; ++byte)
    v |= static_cast<uint32_t>(p[byte]) << (32 - f.bits + 8 * byte);
  return static_cast<int32_t>(v) / 2147483648.0;
}

Clip read_samples(std::span<const uint8_t> data, const Format& f, const data::Source& source) {
  if (data.empty()) fail(Error::Kind::data, {source.name, ": the clip has no samples"});
  const size_t count = data.size() / f.block;
  if (static_cast<int64_t>(count) > source.limits.max_pixels)
    fail(Error::Kind::memory, {source.name, ": ", count, " samples are over the limit of ",
                               static_cast<long>(source.limits.max_pixels)});
  if (data.size() % f.block)
    source.damaged(
        "WAV", cat({data.size(), " bytes are no whole number of samples of ", f.block, " bytes"}));
  Clip clip;
  clip.rate = static_cast<int>(f.rate);
  clip.samples.resize(count);
  const size_t width = f.bits / 8;
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (size_t c = 0; c < f.channels; ++c) sum += value_at(&data[i * f.block + c * width], f);
    clip.samples[i] = static_cast<float>(sum / f.channels);
    if (!std::isfinite(clip.samples[i]))
      fail(Error::Kind::data, {source.name, ": sample ", i, " is not finite"});
  }
  return clip;
}

}  // namespace

bool is_wav(std::span<const uint8_t> b) {
  return b.size() >= 12 && std::memcmp(b.data(), "RIFF", 4) == 0 &&
         std::memcmp(b.data() + 8, "WAVE", 4) == 0;
}

Clip decode_wav(std::span<const uint8_t> bytes, std::string_view name, const DecodeLimits& limits) {
  const data::Source source{bytes, name, limits};
  if (bytes.empty()) fail(Error::Kind::data, {name, ": the file has 0 bytes"});
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes)
    fail(Error::Kind::data, {name, ": has ", bytes.size(), " bytes, at most ",
                             static_cast<long>(limits.max_bytes), " are read"});
  if (!is_wav(bytes)) fail(Error::Kind::data, {name, ": is not a WAV clip"});
  data::ByteReader in(bytes, name);
  in.skip(12);
  Format format;
  while (in.left() >= 8) {
    const auto id = in.take(4);
    const uint32_t size = in.le32();
    const auto is = [&](const char* what) { return std::memcmp(id.data(), what, 4) == 0; };
    if (is("data")) {
      if (!format.code) source.damaged("WAV", "its data come before its format");
      size_t take = size;
      if (size == kToTheEnd) take = in.left() / format.block * format.block;
      return read_samples(in.take(take), format, source);
    }
    const auto chunk = in.take(size);
    if (is("fmt ")) format = read_format(chunk, source);
    in.skip(std::min<size_t>(size % 2, in.left()));
  }
  source.damaged("WAV", "it has no data");
}

Clip read_wav(const std::string& path, const DecodeLimits& limits) {
  const std::string bytes = read_file(path, static_cast<uint64_t>(limits.max_bytes));
  return decode_wav(data::bytes_of(bytes), path, limits);
}

std::vector<uint8_t> encode_wav(const Clip& clip) {
  const auto bytes = static_cast<uint32_t>(2 * clip.samples.size());
  std::vector<uint8_t> out;
  const auto text = [&](std::string_view t) { out.insert(out.end(), t.begin(), t.end()); };
  const auto number = [&](uint32_t v, int size) {
    for (int k = 0; k < size; ++k) out.push_back(static_cast<uint8_t>(v >> 8 * k));
  };
  text("RIFF");
  number(36 + bytes, 4);
  text("WAVEfmt ");
  number(16, 4);
  number(kPcm, 2);
  number(1, 2);
  number(static_cast<uint32_t>(clip.rate), 4);
  number(2 * static_cast<uint32_t>(clip.rate), 4);
  number(2, 2);
  number(16, 2);
  text("data");
  number(bytes, 4);
  for (const float v : clip.samples)
    number(static_cast<uint32_t>(std::lround(std::clamp(v, -1.0f, 1.0f) * 32767.0f)), 2);
  return out;
}

Sample decode_sample(std::span<const uint8_t> bytes, std::string_view name,
                     const DecodeLimits& limits) {
  Sample s;
  if (is_wav(bytes)) {
    Clip clip = decode_wav(bytes, name, limits);
    s.audio = std::move(clip.samples);
    s.audio_rate = clip.rate;
  } else {
    if (!bytes.empty() && image_format(bytes) == ImageFormat::unknown)
      fail(Error::Kind::data, {name,
                               ": is not a picture (PNG, JPEG, WebP, BMP, PGM and PPM are "
                               "read) and not a WAV clip"});
    s.image = decode_image(bytes, name, limits);
  }
  return s;
}

}  // namespace nacre
