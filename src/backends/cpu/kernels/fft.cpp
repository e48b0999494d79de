// fft_c2c, rfft, irfft over the last axis, any length, computed in double: kissfft where the length
// has no prime factor above 5, else Bluestein's chirp transform (Bluestein, IEEE Trans. AU-18,
// 1970) over a power of two.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <optional>
#include <vector>

#include <kissfft/kissfft.hh>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

using Complex = std::complex<double>;

// kissfft is only used for lengths whose butterflies need no buffer inside the plan, so one plan
// serves many threads.
bool is_smooth(int64_t n) {
  for (int64_t p : {2, 3, 5})
    while (n % p == 0) n /= p;
  return n == 1;
}

// A complex transform of one length and direction, unnormalised.
class Transform {
 public:
  Transform(int64_t n, bool inverse) : n_(n) {
    if (is_smooth(n)) {
      direct_.emplace(static_cast<size_t>(n), inverse);
      return;
    }
    length_ = 1;
    while (length_ < 2 * n - 1) length_ *= 2;
    direct_.emplace(static_cast<size_t>(length_), false);
    back_.emplace(static_cast<size_t>(length_), true);
    const double sign = inverse ? 1 : -1;
    chirp_.resize(static_cast<size_t>(n));
    for (int64_t k = 0; k < n; ++k) {
      // k^2 mod 2n exactly, so that long transforms keep their precision.
      const auto square = static_cast<int64_t>(static_cast<__int128>(k) * k % (2 * n));
      const double angle =
          sign * std::numbers::pi * static_cast<double>(square) / static_cast<double>(n);
      chirp_[static_cast<size_t>(k)] = {std::cos(angle), std::sin(angle)};
    }
    std::vector<Complex> filter(static_cast<size_t>(length_));
    for (size_t k = 0; k < chirp_.size(); ++k) {
      filter[k] = std::conj(chirp_[k]);
      if (k) filter[filter.size() - k] = filter[k];
    }
    filter_.resize(filter.size());
    direct_->transform(filter.data(), filter_.data());
    for (auto& f : filter_) f /= static_cast<double>(length_);
  }
  int64_t scratch() const { return back_ ? 2 * length_ : 0; }  // complex numbers

  void run(const Complex* in, Complex* out, Complex* scratch) const {
    if (!back_) {
      direct_->transform(in, out);
      return;
    }
    Complex *a = scratch, *b = scratch + length_;
    const auto n = static_cast<size_t>(n_);
    for (size_t k = 0; k < n; ++k) a[k] = in[k] * chirp_[k];
    std::fill(a + n, a + length_, Complex{});
    direct_->transform(a, b);
    for (size_t k = 0; k < filter_.size(); ++k) b[k] *= filter_[k];
    back_->transform(b, a);
    for (size_t k = 0; k < n; ++k) out[k] = a[k] * chirp_[k];
  }

 private:
  int64_t n_, length_ = 0;
  std::optional<kissfft<double>> direct_, back_;
  std::vector<Complex> chirp_, filter_;
};

enum class Direction { forward, inverse };

// Rows in, rows out; a subclass says how a row becomes complex and back.
template <typename T>
class Fft : public Kernel {
 public:
  Fft(int64_t rows, int64_t n, Direction d)
      : rows_(rows), n_(n), transform_(n, d == Direction::inverse), workers_(num_threads()) {}
  std::string description() const override { return "kissfft"; }
  size_t scratch_bytes() const override { return static_cast<size_t>(workers_) * worker_bytes(); }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    const int64_t workers = rows_ * n_ < 2048 ? 1 : std::min(workers_, std::max<int64_t>(1, rows_));
    parallel_for(workers, 1, [&](int64_t w0, int64_t w1) {
      for (int64_t w = w0; w < w1; ++w) {
        auto* a = reinterpret_cast<Complex*>(static_cast<char*>(scratch) +
                                             static_cast<size_t>(w) * worker_bytes());
        Complex *b = a + n_, *rest = b + n_;
        for (int64_t r = rows_ * w / workers; r < rows_ * (w + 1) / workers; ++r) {
          load(static_cast<const T*>(in[0]), r, a);
          transform_.run(a, b, rest);
          store(b, r, static_cast<T*>(out[0]));
        }
      }
    });
  }

 protected:
  virtual void load(const T* x, int64_t row, Complex* a) const = 0;
  virtual void store(const Complex* b, int64_t row, T* y) const = 0;
  int64_t rows_, n_;

 private:
  size_t worker_bytes() const {
    return align64(static_cast<size_t>(2 * n_ + transform_.scratch()) * sizeof(Complex));
  }
  Transform transform_;
  int64_t workers_;
};

template <typename T>
void store_row(const Complex* b, int64_t n, double scale, T* y) {
  for (int64_t i = 0; i < n; ++i) {
    y[2 * i] = static_cast<T>(b[i].real() * scale);
    y[2 * i + 1] = static_cast<T>(b[i].imag() * scale);
  }
}

template <typename T>
class ComplexFft final : public Fft<T> {
 public:
  ComplexFft(int64_t rows, int64_t n, Direction d)
      : Fft<T>(rows, n, d), scale_(d == Direction::inverse ? 1.0 / static_cast<double>(n) : 1.0) {}

 private:
  void load(const T* x, int64_t row, Complex* a) const override {
    x += row * this->n_ * 2;
    for (int64_t i = 0; i < this->n_; ++i) a[i] = Complex(x[2 * i], x[2 * i + 1]);
  }
  void store(const Complex* b, int64_t row, T* y) const override {
    store_row(b, this->n_, scale_, y + row * this->n_ * 2);
  }
  double scale_;
};

template <typename T>
class RealFft final : public Fft<T> {
 public:
  RealFft(int64_t rows, int64_t n) : Fft<T>(rows, n, Direction::forward) {}

 private:
  void load(const T* x, int64_t row, Complex* a) const override {
    for (int64_t i = 0; i < this->n_; ++i) a[i] = x[row * this->n_ + i];
  }
  void store(const Complex* b, int64_t row, T* y) const override {
    const int64_t half = this->n_ / 2 + 1;
    store_row(b, half, 1.0, y + row * half * 2);
  }
};

// The half spectrum is completed by its mirror image; the imaginary parts that a real signal cannot
// have (at 0 and, for even n, at n/2) are ignored.
template <typename T>
class InverseRealFft final : public Fft<T> {
 public:
  InverseRealFft(int64_t rows, int64_t n) : Fft<T>(rows, n, Direction::inverse) {}

 private:
  void load(const T* x, int64_t row, Complex* a) const override {
    const int64_t n = this->n_, half = n / 2 + 1;
    x += row * half * 2;
    a[0] = x[0];
    for (int64_t i = 1; i < half; ++i) {
      a[i] = 2 * i == n ? Complex(x[2 * i], 0) : Complex(x[2 * i], x[2 * i + 1]);
      a[n - i] = std::conj(a[i]);
    }
  }
  void store(const Complex* b, int64_t row, T* y) const override {
    const double scale = 1.0 / static_cast<double>(this->n_);
    for (int64_t i = 0; i < this->n_; ++i)
      y[row * this->n_ + i] = static_cast<T>(b[i].real() * scale);
  }
};

}  // namespace

std::unique_ptr<Kernel> make_fft_c2c(Operands in, Operands, bool inverse) {
  if (in[0].shape.rank() < 2 || in[0].shape[-1] != 2 || in[0].shape[-2] < 1) return nullptr;
  const int64_t n = in[0].shape[-2], rows = in[0].numel() / n / 2;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<ComplexFft<decltype(t)>>(
        rows, n, inverse ? Direction::inverse : Direction::forward);
  });
}

std::unique_ptr<Kernel> make_rfft(Operands in, Operands) {
  if (in[0].shape.empty() || in[0].shape[-1] < 1) return nullptr;
  const int64_t n = in[0].shape[-1], rows = in[0].numel() / n;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<RealFft<decltype(t)>>(rows, n);
  });
}

std::unique_ptr<Kernel> make_irfft(Operands in, Operands out) {
  if (out[0].shape.empty() || out[0].shape[-1] < 1 || in[0].shape.rank() < 2) return nullptr;
  const int64_t n = out[0].shape[-1], rows = out[0].numel() / n;
  if (in[0].shape[-2] != n / 2 + 1 || in[0].shape[-1] != 2) return nullptr;
  return for_float(in[0].dtype, [&](auto t) -> std::unique_ptr<Kernel> {
    return std::make_unique<InverseRealFft<decltype(t)>>(rows, n);
  });
}

KERNEL(fft_c2c) {
  return q.all_contiguous() ? make_fft_c2c(q.in, q.out, q.flag("inverse")) : nullptr;
}

KERNEL(rfft) { return q.all_contiguous() ? make_rfft(q.in, q.out) : nullptr; }

KERNEL(irfft) { return q.all_contiguous() ? make_irfft(q.in, q.out) : nullptr; }

}  // namespace nacre::cpu
