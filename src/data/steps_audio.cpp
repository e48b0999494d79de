// Steps for clips of sound. They leave other samples alone, so that one pipeline serves mixed data;
// log_mel lets pictures pass only if asked, since what follows it would take them for clips.
#include <algorithm>
#include <cmath>

#include "data/steps.h"
#include "nacre/audio.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

void audio_gain_step(Sample& s, const Args& a, bool, Rng& rng) {
  const double db = a.number("db");
  const auto factor = static_cast<float>(std::pow(10.0, rng.uniform(-db, db) / 20));
  for (float& v : s.audio) v *= factor;
}

void audio_shift_step(Sample& s, const Args& a, bool, Rng& rng) {
  const double limit = a.number("part") * static_cast<double>(s.audio.size());
  const auto by = static_cast<ptrdiff_t>(std::lround(rng.uniform(-limit, limit)));
  std::vector<float> out(s.audio.size(), 0.0f);
  const auto n = static_cast<ptrdiff_t>(out.size());
  for (ptrdiff_t i = std::max<ptrdiff_t>(0, by); i < std::min(n, n + by); ++i)
    out[static_cast<size_t>(i)] = s.audio[static_cast<size_t>(i - by)];
  s.audio = std::move(out);
}

void audio_noise_step(Sample& s, const Args& a, bool, Rng& rng) {
  double power = 0;
  for (const float v : s.audio) power += static_cast<double>(v) * v;
  if (power <= 0) return;
  power /= static_cast<double>(s.audio.size());
  const double std = std::sqrt(power * std::pow(10.0, -a.number("snr") / 10));
  for (float& v : s.audio) v += static_cast<float>(std * rng.normal());
}

void audio_length_step(Sample& s, const Args& a, bool, Rng&) {
  if (!s.audio.empty()) s.audio.resize(static_cast<size_t>(a.integer("samples")), 0.0f);
}

Clip take_clip(Sample& s) {
  Clip clip;
  clip.samples = std::move(s.audio);
  clip.rate = s.audio_rate;
  s.audio.clear();
  s.audio_rate = 0;
  return clip;
}

void audio_rate_step(Sample& s, const Args& a, bool, Rng&) {
  if (s.audio.empty()) return;
  Clip clip = resample(take_clip(s), a.integer("rate"));
  s.audio = std::move(clip.samples);
  s.audio_rate = clip.rate;
}

void log_mel_step(Sample& s, const Args& a, bool, Rng&) {
  if (!s.image.empty() && a.word("pictures") == "refuse")
    fail(Error::Kind::data, {"[log_mel] is for clips of sound, the sample is a picture"});
  if (s.audio.empty()) return;
  s.image = log_mel(take_clip(s), {.mels = a.integer("mels"),
                                   .window = a.integer("window"),
                                   .hop = a.integer("hop"),
                                   .low = a.number("low"),
                                   .high = a.number("high"),
                                   .range = a.number("range")});
}

}  // namespace

const std::vector<StepDef>& audio_steps() {
  static const std::vector<StepDef> steps = {
      {"audio_gain",
       "louder or softer by up to db decibels",
       {needed("db", 0, 100)},
       true,
       audio_gain_step},
      {"audio_shift",
       "earlier or later by up to a part of the length; silence comes in",
       {needed("part", 0, 1)},
       true,
       audio_shift_step},
      {"audio_noise",
       "adds white noise at a signal to noise ratio of snr decibels",
       {needed("snr", -100, 200)},
       true,
       audio_noise_step},
      {"audio_length",
       "cut, or filled with silence, to that many samples",
       {needed("samples", 1, 1e9, Param::integer)},
       false,
       audio_length_step},
      {"audio_rate",
       "the clip at that many samples a second",
       {needed("rate", 1, 768000, Param::integer)},
       false,
       audio_rate_step},
      {"log_mel",
       "a clip becomes a grey picture: its spectrum of `mels` rows in windows of that many samples "
       "(a power of two), every `hop` samples, from `low` to `high` Hz (0: half the rate), in "
       "decibels, 1 at the loudest and 0 at `range` below; `pictures=pass` leaves pictures alone",
       {{"mels", Param::integer, 64, 1, 512},
        {"window", Param::integer, 512, 16, 16384},
        {"hop", Param::integer, 160, 1, 65536},
        {"low", Param::number, 0, 0, 384000},
        {"high", Param::number, 0, 0, 384000},
        {"range", Param::number, 80, 1, 1000},
        {"pictures", Param::word, 0, 0, 0, "refuse pass"}},
       false,
       log_mel_step},
  };
  return steps;
}

}  // namespace nacre::data
