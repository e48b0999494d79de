// Clips of sound: WAV files, other rates, spectrograms.
//
//   Clip clip = read_wav("yes.wav");            // channels mixed to one, values -1..1
//   clip = resample(clip, 16000);
//   Image picture = log_mel(clip, {.mels = 40});  // 40 rows, a column every 10 ms, values 0..1
//
// The steps audio_rate and log_mel of a Transform are the last two. All is computed in f64 and
// rounded once, so that other machines give the same values. Every function is thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/transforms.h"

namespace nacre {

inline constexpr int kMaxSampleRate = 768000;  ///< samples a second, of files and of steps

/// One channel of sound.
struct Clip {
  std::vector<float> samples;  ///< -1..1; files of floats may go beyond
  int rate = 0;                ///< samples a second
  friend bool operator==(const Clip&, const Clip&) = default;
};

/// Whether the bytes begin as a WAV file does.
bool is_wav(std::span<const uint8_t> bytes);

/// Decodes WAV: integers of 8, 16, 24 and 32 bits, floats of 32 and 64, 1 to 64 channels, of which
/// the mean is taken. A clip of b bits is divided by 2^(b-1). `name` is used in messages. Throws
/// Error: data (empty, truncated, not WAV, values that are not finite), memory (more samples than
/// limits.max_pixels), unsupported (a compressed format, which is named).
Clip decode_wav(std::span<const uint8_t> bytes, std::string_view name = "clip",
                const DecodeLimits& limits = {});

/// decode_wav of a file. Throws Error (io) if it cannot be read.
Clip read_wav(const std::string& path, const DecodeLimits& limits = {});

/// A picture or a WAV clip as a sample; the first bytes tell which. Throws as decode_image and
/// decode_wav.
Sample decode_sample(std::span<const uint8_t> bytes, std::string_view name = "the file",
                     const DecodeLimits& limits = {});

/// A WAV file of 16 bits and one channel; values are clamped to -1..1 and rounded to nearest.
std::vector<uint8_t> encode_wav(const Clip& clip);

/// The clip at another rate, ceil(samples * rate / clip.rate) long: band-limited interpolation
/// (Smith, Gossett 1984) by a sinc of 6 zero crossings a side under a Hann window, with the edge at
/// 0.99 of the lower of both half rates. Throws Error: usage (a rate outside 1 to 768000, or a clip
/// without one), memory (a result of more than 64 Mi samples).
Clip resample(const Clip& clip, int rate);

struct MelOptions {
  int mels = 64;      ///< rows; up to 512
  int window = 512;   ///< samples, a power of two from 16 to 16384, under a Hann window
  int hop = 160;      ///< samples from one column to the next; at least a 64th of the window
  double low = 0;     ///< Hz
  double high = 0;    ///< Hz; 0 is half the rate
  double range = 80;  ///< decibels below the loudest value that are still above 0
};

/// A grey picture of the sound: the power spectrum of each window that lies inside the clip (one
/// window filled up with silence if the clip is shorter), summed under triangles that are evenly
/// spread over the mel scale 2595 log10(1 + f / 700) (Stevens et al. 1937), in decibels below the
/// loudest value of the clip: 1 there, 0 at `range` below and in silence. Row 0 is the lowest.
/// Throws Error: usage (options out of range, high beyond half the rate), memory (more than 64 Mi
/// values).
Image log_mel(const Clip& clip, const MelOptions& options = {});

}  // namespace nacre
