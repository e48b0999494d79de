// Clips as small voices say them, for data sets that a network has to learn from.
#pragma once

#include <cmath>
#include <numbers>
#include <string>

#include "nacre/audio.h"
#include "nacre/random.h"

namespace nacre::test {

/// A vowel, a, i, o or u: harmonics of a pitch of 90 to 250 Hz under two formants (means of men,
/// Peterson and Barney 1952) that vary by a twelfth, somewhere in half a second, with noise.
inline Clip vowel(char which, uint64_t number, int rate = 16000) {
  const double first = which == 'a' ? 730 : which == 'i' ? 270 : which == 'o' ? 570 : 300;
  const double second = which == 'a' ? 1090 : which == 'i' ? 2290 : which == 'o' ? 840 : 870;
  Rng rng(Key(number).fold_in(static_cast<uint64_t>(which)));
  const double pitch = rng.uniform(90, 250), turn = 2 * std::numbers::pi / rate;
  const double formants[] = {first * rng.uniform(0.92, 1.08), second * rng.uniform(0.92, 1.08)};
  const double loud = rng.uniform(0.1, 0.5);
  Clip c{std::vector<float>(static_cast<size_t>(rate / 2)), rate};
  std::vector<double> voice(c.samples.size() * 6 / 10);
  double most = 0;
  for (int h = 1; h * pitch < 3000; ++h) {
    double strength = 0;
    for (const double f : formants) {
      const double away = (h * pitch - f) / 80;
      strength += 1 / (1 + away * away);
    }
    const double phase = rng.uniform(0, 6.28);
    for (size_t i = 0; i < voice.size(); ++i)
      voice[i] += strength / h * std::sin(turn * h * pitch * static_cast<double>(i) + phase);
  }
  for (const double v : voice) most = std::max(most, std::abs(v));
  const auto start = static_cast<size_t>(rng.below(c.samples.size() - voice.size()));
  for (size_t i = 0; i < voice.size(); ++i)
    c.samples[start + i] = static_cast<float>(loud * voice[i] / most);
  for (float& v : c.samples) v += static_cast<float>(0.02 * loud * rng.normal());
  return c;
}

inline std::string wav_of(const Clip& clip) {
  const auto bytes = encode_wav(clip);
  return {bytes.begin(), bytes.end()};
}

}  // namespace nacre::test
