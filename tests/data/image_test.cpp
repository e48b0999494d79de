#include "nacre/image.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "data/bytes.h"
#include "goldens.h"
#include "nacre/error.h"
#include "nacre/random.h"

namespace nacre {
namespace {

using testing::difference;
using testing::golden_path;

const std::vector<std::string> kLossless = {
    "grey.png",      "grey_alpha.png",    "rgb.png",  "rgba.png",     "bit.png",
    "palette.png",   "palette_clear.png", "deep.png", "deep_rgb.png", "interlaced.png",
    "rgb.bmp",       "grey.bmp",          "bit.bmp",  "palette.bmp",  "fields.bmp",
    "binary.ppm",    "binary.pgm",        "text.ppm", "text.pgm",     "deep.ppm",
    "lossless.webp", "alpha.webp"};
const std::vector<std::string> kLossy = {"rgb.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg",
                                         "lossy.webp"};

data::Bytes golden_bytes(const std::string& name) {
  const std::string bytes = read_file(golden_path(name), 1 << 20);
  return {bytes.begin(), bytes.end()};
}

Error::Kind kind_of(const std::function<void()>& f, std::string* text = nullptr) {
  try {
    f();
  } catch (const Error& e) {
    if (text) *text = e.what();
    return e.kind();
  }
  ADD_FAILURE() << "no Error";
  return Error::Kind::internal;
}

TEST(Image, LosslessFormatsEqualReference) {
  for (const auto& name : kLossless)
    EXPECT_LT(difference(read_image(golden_path(name)), name).largest, 1e-3) << name;
}

TEST(Image, LossyFormatsAreNearReference) {
  for (const auto& name : kLossy)
    EXPECT_LE(difference(read_image(golden_path(name)), name).largest, 2.01) << name;
}

TEST(Image, ExifOrientationIsApplied) {
  for (int i = 1; i <= 8; ++i) {
    const std::string name = "turned" + std::to_string(i) + ".jpg";
    const Image image = read_image(golden_path(name));
    EXPECT_EQ(image.width, i < 5 ? 13 : 9);
    EXPECT_LE(difference(image, name).largest, 2.01) << name;
  }
}

TEST(Image, FormatIsToldByContent) {
  const auto png = golden_bytes("rgb.png");
  const std::string path = ::testing::TempDir() + "/wrong_name.jpg";
  write_file_atomic(path, {reinterpret_cast<const char*>(png.data()), png.size()});
  EXPECT_EQ(read_image(path), read_image(golden_path("rgb.png")));
  std::filesystem::remove(path);
}

TEST(Image, PngRoundTrip) {
  Rng rng(Key(1));
  for (int channels = 1; channels <= 4; ++channels)
    for (int bits : {8, 16}) {
      Image image(5, 3, channels);
      const double top = bits == 8 ? 255 : 65535;
      for (float& p : image.pixels)
        p = static_cast<float>(static_cast<double>(rng.below(static_cast<uint64_t>(top) + 1)) /
                               top);
      const Image back = decode_image(encode_png(image, bits));
      for (size_t i = 0; i < image.pixels.size(); ++i)
        ASSERT_NEAR(back.pixels[i], image.pixels[i], 1e-7);
    }
}

TEST(Image, ErrorsSayWhatIsWrong) {
  std::string text;
  EXPECT_EQ(kind_of([] { decode_image({}, "a.png"); }, &text), Error::Kind::data);
  EXPECT_EQ(text, "a.png: the file has 0 bytes");
  const data::Bytes words(40, 'x');
  EXPECT_EQ(kind_of([&] { decode_image(words, "b.txt"); }, &text), Error::Kind::data);
  EXPECT_NE(text.find("b.txt: is not a picture"), std::string::npos);
  auto cut = golden_bytes("rgb.png");
  cut.resize(cut.size() / 2);
  EXPECT_EQ(kind_of([&] { decode_image(cut, "c.png"); }, &text), Error::Kind::data);
  EXPECT_NE(text.find("c.png: PNG cannot be decoded: the file is truncated"), std::string::npos)
      << text;
  EXPECT_EQ(kind_of([] { read_image("/nowhere/d.png"); }, &text), Error::Kind::io);
  EXPECT_NE(text.find("cannot read /nowhere/d.png"), std::string::npos);
  EXPECT_EQ(kind_of([] { decode_image(golden_bytes("rgb.png"), "e", {.max_pixels = 100}); }, &text),
            Error::Kind::memory);
  EXPECT_NE(text.find("13x9 pixels are over the limit"), std::string::npos);
}

TEST(Image, SizesAreCheckedBeforeMemoryIsTaken) {
  const std::string bomb = "P6 60000 1000 255\n";
  std::string text;
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(bomb.data()), bomb.size());
  EXPECT_EQ(kind_of([&] { decode_image(bytes, "bomb"); }, &text), Error::Kind::data);
  EXPECT_NE(text.find("truncated"), std::string::npos);
  auto png = golden_bytes("grey.png");  // says 8000x8000, with the right checksum left wrong
  png[18] = 0x1f, png[19] = 0x40, png[22] = 0x1f, png[23] = 0x40;
  EXPECT_EQ(kind_of([&] { decode_image(png, "bomb"); }), Error::Kind::data);
}

/// Whatever the bytes are: a picture or an Error.
void must_not_crash(const data::Bytes& bytes) {
  try {
    const Image image = decode_image(bytes, "fuzz", {.max_pixels = 1 << 16});
    ASSERT_EQ(image.pixels.size(), static_cast<size_t>(image.width) *
                                       static_cast<size_t>(image.height) *
                                       static_cast<size_t>(image.channels));
  } catch (const Error&) {
  }
}

TEST(Image, DamagedFilesThrowOnly) {
  auto names = kLossless;
  names.insert(names.end(), kLossy.begin(), kLossy.end());
  names.push_back("turned6.jpg");
  Rng rng(Key(3));
  for (const auto& name : names) {
    const auto whole = golden_bytes(name);
    for (size_t n = 0; n < whole.size(); ++n)
      must_not_crash(data::Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n)));
    for (int i = 0; i < 400; ++i) {
      auto bytes = whole;
      for (uint64_t k = rng.below(3) + 1; k > 0; --k)
        bytes[rng.below(bytes.size())] ^= static_cast<uint8_t>(1u << rng.below(8));
      must_not_crash(bytes);
    }
  }
}

TEST(Image, TruncatedPngJpegWebpBmpAreErrors) {
  for (const std::string name : {"rgb.png", "rgb.jpg", "lossless.webp", "rgb.bmp", "binary.ppm"}) {
    auto bytes = golden_bytes(name);
    bytes.resize(bytes.size() - 8);
    EXPECT_EQ(kind_of([&] { decode_image(bytes, name); }), Error::Kind::data) << name;
  }
}

TEST(Image, ChannelsFollowTheStatedRule) {
  Image rgba(1, 1, 4);
  rgba.pixels = {0.2f, 0.4f, 0.6f, 0.5f};
  const Image rgb = to_channels(rgba, 3);
  EXPECT_FLOAT_EQ(rgb.pixels[0], 0.6f);
  EXPECT_FLOAT_EQ(rgb.pixels[2], 0.8f);
  EXPECT_FLOAT_EQ(to_channels(rgb, 1).pixels[0], 0.299f * 0.6f + 0.587f * 0.7f + 0.114f * 0.8f);
  Image grey(1, 1, 1, 0.25f);
  EXPECT_EQ(to_channels(grey, 4).pixels, (std::vector<float>{0.25f, 0.25f, 0.25f, 1}));
  EXPECT_EQ(to_channels(rgba, 2).pixels[1], 0.5f);
  EXPECT_EQ(kind_of([&] { to_channels(grey, 5); }), Error::Kind::shape);
}

TEST(Resize, MatchesStoredReferencesWithinOneGreyLevel) {
  const Image source = read_image(golden_path("rgb.png"));
  int cases = 0;
  for (const auto& [name, expected] : testing::goldens()) {
    const std::string method = name.substr(0, name.find('_'));
    if (name.find('x') == std::string::npos || name.find('.') != std::string::npos) continue;
    const bool plain = method == "plain";
    const Resample m = plain ? Resample::bilinear : resample_from_name(method);
    const Image out = resize(source, expected.width, expected.height, m, !plain);
    EXPECT_LT(difference(out, name).largest, 0.01) << name;
    ++cases;
  }
  EXPECT_EQ(cases, 24);
}

TEST(Resize, KeepsConstantsAndRejectsBadSizes) {
  const Image flat(7, 5, 2, 0.375f);
  for (const Resample m :
       {Resample::nearest, Resample::bilinear, Resample::bicubic, Resample::area})
    for (const int w : {1, 3, 7, 19})
      for (const float p : resize(flat, w, 11 - w / 2, m).pixels) ASSERT_NEAR(p, 0.375f, 1e-6);
  EXPECT_EQ(kind_of([&] { resize(flat, 0, 4); }), Error::Kind::shape);
  EXPECT_EQ(kind_of([&] { resize(Image(), 4, 4); }), Error::Kind::shape);
  EXPECT_EQ(kind_of([] { resample_from_name("cubic"); }), Error::Kind::usage);
}

}  // namespace
}  // namespace nacre
