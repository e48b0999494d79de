// Fourier transforms, windows and mel filters.
#include <cmath>
#include <numbers>

#include "onnx/call.h"

namespace nacre::onnx {
namespace {

/// Numbers with a last dimension of 1 as complex ones of 2.
Tensor as_complex(const Call& c, const Tensor& x) {
  c.check(x.rank() >= 2 && (x.shape().back() == 1 || x.shape().back() == 2),
          {"takes real or complex numbers in a last dimension of 1 or 2, not ", x.shape()});
  const Tensor wide = size_of(x.dtype()) < 4 ? cast(x, DType::f32) : x;
  return wide.shape().back() == 2 ? wide : concat({wide, zeros_like(wide)}, -1);
}

Values dft(Call& c) {
  const int64_t rank = c.rank(0);
  const int64_t axis = c.axis(c.has(2) ? c.integer(2) : c.i("axis", c.opset < 20 ? 1 : -2), rank);
  c.check(axis < rank - 1, {"axis ", axis, " is that of the complex numbers"});
  const bool inverse = c.i("inverse") != 0, half = c.i("onesided") != 0;
  Tensor x = as_complex(c, c[0]);
  const int64_t n = c.has(1)          ? c.integer(1)
                    : inverse && half ? 2 * (x.size(axis) - 1)
                                      : x.size(axis);
  c.check(n > 0 && n < int64_t{1} << 40, {"a transform of length ", n});
  const int64_t need = inverse && half ? n / 2 + 1 : n;
  Ints high(static_cast<size_t>(rank), 0);
  high[axis] = need - x.size(axis);
  x = pad(x, Ints(high.size(), 0), high);
  const DType t = c[0].dtype();
  if (inverse && half) return {cast(unsqueeze(irfft(x, n, axis), rank - 1), t)};
  Tensor y = inverse ? ifft(x, axis) : fft(x, axis);
  if (half) y = slice(y, axis, 0, n / 2 + 1);
  return {cast(y, t)};
}

Values short_time(Call& c) {
  const int64_t hop = c.integer(1);
  Tensor x = as_complex(c, c.rank(0) == 2 ? unsqueeze(c[0], 2) : c[0]);
  const Tensor window = c.optional(2);
  const int64_t length = c.has(3) ? c.integer(3) : window.defined() ? window.numel() : x.size(1);
  c.check(hop > 0 && length > 0 && length <= x.size(1),
          {"frames of ", length, ", ", hop, " apart, in a signal of ", x.size(1)});
  Tensor frames = permute(sliding_window(x, 1, length, hop), {0, 1, 3, 2});
  if (window.defined()) frames = frames * reshape(cast(window, x.dtype()), {length, 1});
  Tensor y = fft(frames, 2);
  if (c.i("onesided", 1)) y = slice(y, 2, 0, length / 2 + 1);
  return {cast(y, c[0].dtype())};
}

/// Sums of cosines: a0 - a1 cos(2 pi k / N) + a2 cos(4 pi k / N).
Values cosine_window(Call& c, double a0, double a1, double a2) {
  const int64_t n = c.integer(0);
  c.check(n >= 0 && n < int64_t{1} << 32, {"a window of ", n});
  const Elem e = static_cast<Elem>(c.i("output_datatype", static_cast<int64_t>(Elem::f32)));
  const double period = static_cast<double>(std::max<int64_t>(1, c.i("periodic", 1) ? n : n - 1));
  std::vector<double> w(static_cast<size_t>(n));
  for (size_t k = 0; k < w.size(); ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / period;
    w[k] = a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle);
  }
  return {Value(cast(Tensor::from(w, {n}), storage_of(e)), e)};
}

Values mel_weights(Call& c) {
  const int64_t bins = c.integer(0), length = c.integer(1), rate = c.integer(2);
  c.check(bins > 0 && bins < 1 << 20 && length > 0 && length < 1 << 24 && rate > 0,
          {bins, " bins of a transform of ", length, " at a rate of ", rate});
  const auto mel = [](double hz) { return 2595 * std::log10(1 + hz / 700); };
  const double low = mel(c.real(3)), step = (mel(c.real(4)) - low) / static_cast<double>(bins + 2);
  const int64_t rows = length / 2 + 1;
  std::vector<int64_t> at;
  for (int64_t k = 0; k < bins + 2; ++k) {
    const double hz = 700 * (std::pow(10, (low + step * static_cast<double>(k)) / 2595) - 1);
    at.push_back(static_cast<int64_t>(
        std::floor(static_cast<double>(length + 1) * hz / static_cast<double>(rate))));
    c.check(at.back() >= 0 && at.back() <= rows, {"the bins reach beyond the transform"});
  }
  std::vector<double> w(static_cast<size_t>(rows * bins));
  const auto set = [&](int64_t row, int64_t bin, double v) {
    if (row < rows) w[static_cast<size_t>(row * bins + bin)] = v;
  };
  for (int64_t b = 0; b < bins; ++b) {
    const auto k = static_cast<size_t>(b);
    const int64_t from = at[k], peak = at[k + 1], to = at[k + 2];
    if (from == peak) set(peak, b, 1);
    for (int64_t r = from; from < peak && r <= peak; ++r)
      set(r, b, static_cast<double>(r - from) / static_cast<double>(peak - from));
    for (int64_t r = peak; r < to; ++r)
      set(r, b, static_cast<double>(to - r) / static_cast<double>(to - peak));
  }
  const Elem e = static_cast<Elem>(c.i("output_datatype", static_cast<int64_t>(Elem::f32)));
  return {Value(cast(Tensor::from(w, {rows, bins}), storage_of(e)), e)};
}

}  // namespace

ONNX(DFT) = {"DFT", dft};
ONNX(STFT) = {"STFT", short_time, "", "2"};
ONNX(HannWindow) = {"HannWindow", [](Call& c) { return cosine_window(c, 0.5, 0.5, 0); }};
ONNX(HammingWindow) = {"HammingWindow",
                       [](Call& c) { return cosine_window(c, 25.0 / 46, 21.0 / 46, 0); }};
ONNX(BlackmanWindow) = {"BlackmanWindow",
                        [](Call& c) { return cosine_window(c, 0.42, 0.5, 0.08); }};
ONNX(MelWeightMatrix) = {"MelWeightMatrix", mel_weights};

}  // namespace nacre::onnx
