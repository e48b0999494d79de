// Other rates and spectrograms of clips.
#include "nacre/audio.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "nacre/error.h"

namespace nacre {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr int64_t kMaxValues = int64_t{1} << 26;
constexpr double kCrossings = 6, kEdge = 0.99;

void check_rate(int rate, const char* step, const char* what) {
  if (rate < 1 || rate > kMaxSampleRate)
    fail(Error::Kind::usage,
         {"[", step, "] ", what, " is ", rate, " Hz, it should be from 1 to ", kMaxSampleRate});
}

/// Discrete Fourier transforms of one length, a power of two: decimation in time (Cooley, Tukey
/// 1965).
class Fourier {
 public:
  explicit Fourier(size_t n) : re(n), im(n), place_(n), cos_(n / 2), sin_(n / 2) {
    for (size_t i = 1; i < n; ++i) place_[i] = place_[i / 2] / 2 + (i % 2) * (n / 2);
    for (size_t i = 0; i < n / 2; ++i) {
      const double angle = -2 * kPi * static_cast<double>(i) / static_cast<double>(n);
      cos_[i] = std::cos(angle);
      sin_[i] = std::sin(angle);
    }
  }
  /// Where value i of the input goes.
  size_t place(size_t i) const { return place_[i]; }
  void run() {
    const size_t n = re.size();
    for (size_t half = 1; half < n; half *= 2)
      for (size_t from = 0; from < n; from += 2 * half)
        for (size_t k = 0; k < half; ++k) {
          const size_t a = from + k, b = a + half, turn = k * (n / 2 / half);
          const double x = re[b] * cos_[turn] - im[b] * sin_[turn];
          const double y = re[b] * sin_[turn] + im[b] * cos_[turn];
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
  }
  std::vector<double> re, im;

 private:
  std::vector<size_t> place_;
  std::vector<double> cos_, sin_;
};

/// The part of the bins of a spectrum that one row sums up.
struct Triangle {
  size_t first = 0;
  std::vector<double> weights;
};

std::vector<Triangle> triangles(const MelOptions& o, double high, int rate) {
  const auto mel = [](double hz) { return 2595 * std::log10(1 + hz / 700); };
  const double bottom = mel(o.low), top = mel(high);
  const auto corner = [&](int i) {
    return 700 * (std::pow(10, (bottom + (top - bottom) * i / (o.mels + 1)) / 2595) - 1);
  };
  std::vector<Triangle> rows(static_cast<size_t>(o.mels));
  for (int m = 0; m < o.mels; ++m) {
    Triangle& t = rows[static_cast<size_t>(m)];
    const double left = corner(m), peak = corner(m + 1), right = corner(m + 2);
    for (int bin = 0; bin <= o.window / 2; ++bin) {
      const double hz = static_cast<double>(bin) * rate / o.window;
      const double weight = std::min((hz - left) / (peak - left), (right - hz) / (right - peak));
      if (weight <= 0) continue;
      if (t.weights.empty()) t.first = static_cast<size_t>(bin);
      t.weights.push_back(weight);
    }
  }
  return rows;
}

void check_options(const MelOptions& o, double high, int rate) {
  check_rate(rate, "log_mel", "the rate of the clip");
  if (o.mels < 1 || o.mels > 512)
    fail(Error::Kind::usage, {"[log_mel] mels is ", o.mels, ", it should be from 1 to 512"});
  if (o.window < 16 || o.window > 16384 || (o.window & (o.window - 1)))
    fail(Error::Kind::usage,
         {"[log_mel] window is ", o.window, ", it should be a power of two from 16 to 16384"});
  if (o.hop < 1 || int64_t{64} * o.hop < o.window)
    fail(Error::Kind::usage, {"[log_mel] hop is ", o.hop, ", it should be at least ",
                              std::max(1, o.window / 64), ", a 64th of the window"});
  if (!(o.low >= 0 && o.low < high && 2 * high <= rate))
    fail(Error::Kind::usage,
         {"[log_mel] goes from ", o.low, " to ", high,
          " Hz; low should be below high, and that at most half the rate of ", rate});
  if (!(o.range > 0))
    fail(Error::Kind::usage, {"[log_mel] range is ", o.range, ", it should be above 0"});
}

}  // namespace

Clip resample(const Clip& clip, int rate) {
  check_rate(clip.rate, "audio_rate", "the rate of the clip");
  check_rate(rate, "audio_rate", "the rate");
  if (rate == clip.rate) return clip;
  const int64_t common = std::gcd(rate, clip.rate);
  const int64_t from = clip.rate / common, to = rate / common;
  const auto n = static_cast<int64_t>(clip.samples.size());
  const int64_t count = (n * to + from - 1) / from;
  if (count > kMaxValues)
    fail(Error::Kind::memory, {"[audio_rate] ", n, " samples become ", count, " at ", rate,
                               " Hz, at most ", kMaxValues, " are possible"});
  Clip out;
  out.rate = rate;
  out.samples.resize(static_cast<size_t>(count));
  // Of what is below both half rates; 1 is the clip's own.
  const double band = kEdge * static_cast<double>(std::min(from, to)) / static_cast<double>(from);
  const auto reach = static_cast<int64_t>(std::ceil(kCrossings / band));
  std::vector<double> weights(static_cast<size_t>(2 * reach + 1));
  // Sample j lies at j * from / to; each to-th lies at the same distance from its neighbours.
  for (int64_t phase = 0; phase < std::min(to, count); ++phase) {
    const double behind = static_cast<double>(phase * from % to) / static_cast<double>(to);
    for (int64_t k = -reach; k <= reach; ++k) {
      const double t = band * (static_cast<double>(k) - behind);
      const double window = std::abs(t) < kCrossings ? std::cos(kPi * t / (2 * kCrossings)) : 0;
      const double sinc = t == 0 ? 1 : std::sin(kPi * t) / (kPi * t);
      weights[static_cast<size_t>(k + reach)] = band * sinc * window * window;
    }
    for (int64_t j = phase; j < count; j += to) {
      const int64_t first = j * from / to - reach;
      double sum = 0;
      for (int64_t i = std::max<int64_t>(first, 0); i < std::min(first + 2 * reach + 1, n); ++i)
        sum += weights[static_cast<size_t>(i - first)] * clip.samples[static_cast<size_t>(i)];
      out.samples[static_cast<size_t>(j)] = static_cast<float>(sum);
    }
  }
  return out;
}

Image log_mel(const Clip& clip, const MelOptions& o) {
  const double high = o.high > 0 ? o.high : clip.rate / 2.0;
  check_options(o, high, clip.rate);
  const auto window = static_cast<size_t>(o.window), hop = static_cast<size_t>(o.hop),
             n = clip.samples.size(), columns = n < window ? 1 : 1 + (n - window) / hop;
  if (static_cast<int64_t>(columns) > kMaxValues / o.mels)
    fail(Error::Kind::memory, {"[log_mel] ", columns, " columns of ", o.mels,
                               " values are more than the limit of ", kMaxValues});
  const std::vector<Triangle> rows = triangles(o, high, clip.rate);
  std::vector<double> hann(window), power(window / 2 + 1), sums(columns * rows.size());
  for (size_t i = 0; i < window; ++i)
    hann[i] = 0.5 - 0.5 * std::cos(2 * kPi * static_cast<double>(i) / static_cast<double>(window));
  Fourier fourier(window);
  double peak = 0;
  for (size_t c = 0; c < columns; ++c) {
    for (size_t i = 0; i < window; ++i) {
      const size_t at = c * hop + i;
      fourier.re[fourier.place(i)] = at < n ? hann[i] * clip.samples[at] : 0;
    }
    std::fill(fourier.im.begin(), fourier.im.end(), 0.0);
    fourier.run();
    for (size_t k = 0; k < power.size(); ++k)
      power[k] = fourier.re[k] * fourier.re[k] + fourier.im[k] * fourier.im[k];
    for (size_t m = 0; m < rows.size(); ++m) {
      double sum = 0;
      for (size_t k = 0; k < rows[m].weights.size(); ++k)
        sum += rows[m].weights[k] * power[rows[m].first + k];
      sums[m * columns + c] = sum;
      peak = std::max(peak, sum);
    }
  }
  Image out(static_cast<int>(columns), o.mels, 1);
  for (size_t i = 0; i < sums.size() && peak > 0; ++i)
    if (sums[i] > 0)
      out.pixels[i] =
          static_cast<float>(std::max(0.0, 1 + 10 * std::log10(sums[i] / peak) / o.range));
  return out;
}

}  // namespace nacre
