// WAV files beside libsndfile's reading of them, spectrograms beside librosa's, other rates beside
// the tones that they should be.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/file.h"
#include "data/bytes.h"
#include "data/folder.h"
#include "data/goldens.h"
#include "nacre/audio.h"
#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using testing::contains;
using testing::error_of;
using testing::golden_path;

struct Case {
  int64_t a = 0, b = 0;  ///< rate and count, or rows and columns
  std::vector<double> values;
};

const std::map<std::string, Case>& cases() {
  static const auto all = [] {
    std::map<std::string, Case> list;
    std::istringstream file(read_file(golden_path("expected_audio.txt"), 1 << 20));
    for (std::string line; std::getline(file, line);) {
      std::istringstream in(line);
      std::string name;
      Case c;
      in >> name >> c.a >> c.b;
      for (double v; in >> v;) c.values.push_back(v);
      list[name] = c;
    }
    return list;
  }();
  return all;
}

Clip tone(double hz, int rate, size_t samples) {
  Clip c{std::vector<float>(samples), rate};
  for (size_t i = 0; i < samples; ++i)
    c.samples[i] = static_cast<float>(
        0.7 * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  return c;
}

TEST(Wav, IsReadAsLibsndfileReadsIt) {
  int files = 0;
  for (const auto& [name, want] : cases()) {
    if (!name.ends_with(".wav")) continue;
    const Clip c = read_wav(golden_path(name));
    EXPECT_EQ(c.rate, want.a) << name;
    ASSERT_EQ(static_cast<int64_t>(c.samples.size()), want.b) << name;
    for (size_t i = 0; i < c.samples.size(); ++i)
      EXPECT_NEAR(c.samples[i], want.values[i], 1e-7 * (1 + std::abs(want.values[i]))) << name;
    ++files;
  }
  EXPECT_EQ(files, 8);
}

TEST(Wav, WhatIsWrittenIsRead) {
  Clip c = tone(440, 8000, 333);
  c.samples[7] = -3;
  const Clip back = decode_wav(encode_wav(c));
  EXPECT_EQ(back.rate, 8000);
  ASSERT_EQ(back.samples.size(), 333u);
  EXPECT_NEAR(back.samples[7], -1, 1e-4);
  for (size_t i = 8; i < 333; ++i) EXPECT_NEAR(back.samples[i], c.samples[i], 5e-5);
}

TEST(Wav, LimitsAndDamageAreNamed) {
  const std::string bytes = read_file(golden_path("i16.wav"), 1 << 20);
  const auto b = data::bytes_of(bytes);
  const auto data = Error::Kind::data;
  EXPECT_TRUE(
      contains(error_of([&] { decode_wav(b, "c", {.max_pixels = 39}); }, Error::Kind::memory),
               "c: 40 samples are over the limit of 39"));
  EXPECT_TRUE(
      contains(error_of([&] { decode_wav(b, "c", {.max_bytes = 50}); }, data), "at most 50"));
  EXPECT_TRUE(contains(error_of([&] { decode_wav(b.first(60), "c"); }, data), "is truncated"));
  EXPECT_TRUE(contains(error_of([&] { decode_wav({}, "c"); }, data), "c: the file has 0 bytes"));
  EXPECT_TRUE(contains(error_of([&] { decode_sample(data::bytes_of("ID3 sound"), "c.wav"); }, data),
                       "c.wav: is not a picture (PNG, JPEG, WebP, BMP, PGM and PPM are read) and "
                       "not a WAV clip"));
}

TEST(Wav, ASampleIsAPictureOrAClip) {
  const Sample clip = decode_sample(data::bytes_of(read_file(golden_path("i24.wav"), 1 << 20)));
  EXPECT_EQ(clip.audio_rate, 44100);
  EXPECT_EQ(clip.audio.size(), 40u);
  EXPECT_TRUE(clip.image.empty());
  const Sample picture = decode_sample(data::bytes_of(read_file(golden_path("rgb.png"), 1 << 20)));
  EXPECT_EQ(picture.image, read_image(golden_path("rgb.png")));
  EXPECT_TRUE(picture.audio.empty());
}

void expect_spectrogram(const std::string& name, const MelOptions& options) {
  const Case& want = cases().at(name);
  const Image got = log_mel(read_wav(golden_path("sweep.wav")), options);
  ASSERT_EQ(got.height, want.a);
  ASSERT_EQ(got.width, want.b);
  EXPECT_EQ(got.channels, 1);
  float most = 0;
  for (size_t i = 0; i < got.pixels.size(); ++i) {
    EXPECT_NEAR(got.pixels[i], want.values[i], 1e-6) << name << " " << i;
    most = std::max(most, got.pixels[i]);
  }
  EXPECT_EQ(most, 1);
}

TEST(LogMel, IsThatOfLibrosa) {
  expect_spectrogram("mel_20", {.mels = 20, .window = 256, .hop = 80});
  expect_spectrogram("mel_8",
                     {.mels = 8, .window = 128, .hop = 100, .low = 300, .high = 3000, .range = 40});
}

TEST(LogMel, ShortClipsSilenceAndLoudness) {
  Clip c = tone(1000, 8000, 100);
  EXPECT_EQ(log_mel(c).width, 1);  // filled up
  const Image one = log_mel(tone(1000, 8000, 2000));
  Clip quiet = tone(1000, 8000, 2000);
  for (float& v : quiet.samples) v /= 256;
  EXPECT_EQ(log_mel(quiet), one);  // by a power of two, so that no bit is lost
  c.samples.assign(2000, 0.0f);
  for (const float v : log_mel(c).pixels) EXPECT_EQ(v, 0);
}

TEST(LogMel, ImpossibleOptionsAreNamed) {
  const Clip c = tone(1000, 8000, 2000);
  const auto said = [&](const MelOptions& o, const Clip& clip) {
    return error_of([&] { log_mel(clip, o); }, Error::Kind::usage);
  };
  EXPECT_TRUE(contains(said({.mels = 0}, c), "mels is 0"));
  EXPECT_TRUE(contains(said({.window = 400}, c), "a power of two from 16 to 16384"));
  EXPECT_TRUE(contains(said({.window = 1024, .hop = 15}, c), "at least 16, a 64th"));
  EXPECT_TRUE(contains(said({.high = 4001}, c), "at most half the rate of 8000"));
  EXPECT_TRUE(contains(said({.low = 5000}, c), "goes from 5000 to 4000"));
  EXPECT_TRUE(contains(said({}, {c.samples, 0}), "the rate of the clip is 0 Hz"));
}

/// The largest difference to a tone, away from the edges.
double off(const Clip& got, const Clip& want) {
  double most = 0;
  const size_t edge = want.samples.size() / 8;
  for (size_t i = edge; i + edge < want.samples.size(); ++i)
    most = std::max<double>(most, std::abs(got.samples[i] - want.samples[i]));
  return most;
}

TEST(Resample, ATonePassesOrIsStopped) {
  for (const auto& [from, to] : {std::pair{16000, 8000},
                                 {8000, 16000},
                                 {44100, 16000},
                                 {11025, 16000},
                                 {48000, 44100},
                                 {16000, 15999}}) {
    const auto n = static_cast<size_t>(from / 10);
    const Clip got = resample(tone(500, from, n), to);
    EXPECT_EQ(got.rate, to);
    const size_t count =
        (n * static_cast<size_t>(to) + static_cast<size_t>(from) - 1) / static_cast<size_t>(from);
    ASSERT_EQ(got.samples.size(), count);
    EXPECT_LT(off(got, tone(500, to, count)), 2e-3) << from << " to " << to;  // measured: 1.4e-3
  }
  const Clip stopped = resample(tone(6000, 16000, 3200), 8000);
  EXPECT_LT(off(stopped, tone(0, 8000, 1600)), 5e-3);
  const Clip same = tone(500, 8000, 100);
  EXPECT_EQ(resample(same, 8000), same);
  EXPECT_TRUE(contains(error_of([&] { resample(same, 0); }, Error::Kind::usage), "is 0 Hz"));
  EXPECT_TRUE(contains(error_of(
                           [] {
                             resample({std::vector<float>(1000), 1}, 768000);
                           },
                           Error::Kind::memory),
                       "1000 samples become 768000000"));
}

TEST(AudioSteps, MakeAPictureAndLeaveOthersAlone) {
  const Transform t = Transform::parse(
      "audio_rate(8000)|audio_length(4000)|log_mel(mels=16,window=256,hop=80,pictures=pass)|"
      "resize(20,16)");
  EXPECT_EQ(Transform::parse(t.str()).str(), t.str());
  Sample s;
  s.audio = tone(440, 44100, 30000).samples;
  s.audio_rate = 44100;
  t.apply(s, false, Key(0));
  EXPECT_TRUE(s.audio.empty());
  EXPECT_EQ(s.audio_rate, 0);
  Clip c = resample(tone(440, 44100, 30000), 8000);
  c.samples.resize(4000);
  EXPECT_EQ(s.image, resize(log_mel(c, {.mels = 16, .window = 256, .hop = 80}), 20, 16));

  Sample picture;
  picture.image = Image(40, 32, 1, 0.5f);
  t.apply(picture, false, Key(0));
  EXPECT_EQ(picture.image.width, 20);
  EXPECT_TRUE(
      contains(error_of([&] { Transform::parse("log_mel()").apply(picture, false, Key(0)); }),
               "is for clips of sound, the sample is a picture"));
  Sample row;
  row.features = {1, 2};
  const Sample before = row;
  t.apply(row, false, Key(0));
  EXPECT_EQ(row, before);
}

}  // namespace
}  // namespace nacre
