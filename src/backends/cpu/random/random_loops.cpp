#include "backends/cpu/random/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "backends/cpu/elementwise/loops.h"
#include "backends/cpu/simd/convert.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kTile = 1024;  // elements made at a time; a multiple of 4
constexpr int64_t kGrain = 16;   // tiles per thread at least

/// Calls tile(first, count) for tiles of 0..n-1 in parallel.
template <class F>
void tiles(int64_t n, F tile) {
  parallel_for((n + kTile - 1) / kTile, kGrain, [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; ++t) tile(t * kTile, std::min(kTile, n - t * kTile));
  });
}

uint64_t key_of(const void* in) { return static_cast<uint64_t>(*static_cast<const int64_t*>(in)); }

/// The words of elements first .. first + n - 1; first is a multiple of 4 and `out` has room for n
/// rounded up to 4.
void words(uint64_t key, int64_t first, int64_t n, uint32_t* out) {
  random_words(key, static_cast<uint64_t>(first) / 4, (n + 3) / 4, out);
}

void uniform(const uint32_t* w, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(w[i] >> 8) * 0x1p-24f;
}

void uniform(const uint32_t* w, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i)
    out[i] =
        (static_cast<double>(w[2 * i] >> 5) * 0x1p26 + static_cast<double>(w[2 * i + 1] >> 6)) *
        0x1p-53;
}

/// n even: pairs (u, v) of the tile's words.
void pairs(const uint32_t* w, int64_t n, float* u, float* v) {
  for (int64_t j = 0; j < n / 2; ++j) {
    u[j] = static_cast<float>((static_cast<double>(w[2 * j]) + 1) * 0x1p-32);
    v[j] = static_cast<float>(static_cast<double>(w[2 * j + 1]) * (0x1p-32 * 2 * std::numbers::pi));
  }
}

void pairs(const uint32_t* w, int64_t n, double* u, double* v) {
  double both[kTile];
  uniform(w, n, both);
  for (int64_t j = 0; j < n / 2; ++j) {
    u[j] = 1 - both[2 * j];
    v[j] = both[2 * j + 1] * (2 * std::numbers::pi);
  }
}

template <class T>
void normal(const uint32_t* w, int64_t n, T* out) {
  T u[kTile / 2] = {}, v[kTile / 2], s[kTile / 2];
  const int64_t even = (n + 1) / 2 * 2, half = even / 2;
  pairs(w, even, u, v);
  float_loop(Ew::log_, u, static_cast<const T*>(nullptr), u, half, 0);
  for (int64_t j = 0; j < half; ++j) u[j] *= T(-2);
  float_loop(Ew::sqrt_, u, static_cast<const T*>(nullptr), u, half, 0);
  float_loop(Ew::sin_, v, static_cast<const T*>(nullptr), s, half, 0);
  float_loop(Ew::cos_, v, static_cast<const T*>(nullptr), v, half, 0);
  for (int64_t i = 0; i < n; ++i) out[i] = u[i / 2] * (i % 2 ? s[i / 2] : v[i / 2]);
}

class RandomBits final : public Kernel {
 public:
  explicit RandomBits(int64_t n) : n_(n) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const uint64_t key = key_of(in[0]);
    int64_t* to = static_cast<int64_t*>(out[0]);
    tiles(n_, [&](int64_t first, int64_t n) {
      uint32_t w[kTile];
      words(key, first, n, w);
      for (int64_t i = 0; i < n; ++i) to[first + i] = w[i];
    });
  }

 private:
  int64_t n_;
};

class RandomFloats final : public Kernel {
 public:
  RandomFloats(int64_t n, DType type, bool is_normal) : n_(n), type_(type), normal_(is_normal) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const uint64_t key = key_of(in[0]);
    tiles(n_, [&](int64_t first, int64_t n) {
      if (type_ == DType::f64) {
        uint32_t w[2 * kTile + 4];
        words(key, 2 * first, 2 * n + 2, w);
        double* to = static_cast<double*>(out[0]) + first;
        normal_ ? normal(w, n, to) : uniform(w, n, to);
        return;
      }
      uint32_t w[kTile];
      words(key, first, n, w);
      if (type_ == DType::f32) {
        float* to = static_cast<float*>(out[0]) + first;
        normal_ ? normal(w, n, to) : uniform(w, n, to);
        return;
      }
      float wide[kTile];
      if (normal_) {
        normal(w, n, wide);
      } else {  // as many bits as the type has, so that rounding does not give 1
        const int drop = type_ == DType::bf16 ? 24 : 21;
        for (int64_t i = 0; i < n; ++i)
          wide[i] = std::ldexp(static_cast<float>(w[i] >> drop), drop - 32);
      }
      narrow16(type_, wide, static_cast<uint16_t*>(out[0]) + first, n);
    });
  }

 private:
  int64_t n_;
  DType type_;
  bool normal_;
};

template <class T>
class Dropout final : public Kernel {
 public:
  Dropout(int64_t n, double p)
      : n_(n),
        threshold_(static_cast<uint64_t>(std::llround(p * 0x1p32))),
        scale_(p < 1 ? static_cast<T>(1 / (1 - p)) : T(0)) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int in, int) const override { return in == 0; }
  void run(const void* const* in, void* const* out, void*) const override {
    if (threshold_ > UINT32_MAX) {
      std::fill_n(static_cast<T*>(out[0]), n_, T(0));
      return;
    }
    const uint64_t key = key_of(in[1]);
    const T* x = static_cast<const T*>(in[0]);
    T* y = static_cast<T*>(out[0]);
    tiles(n_, [&](int64_t first, int64_t n) {
      uint32_t w[kTile];
      words(key, first, n, w);
      keep(w, x + first, y + first, n);
    });
  }

 private:
  void keep(const uint32_t* w, const T* x, T* y, int64_t n) const {
    const uint32_t threshold = static_cast<uint32_t>(threshold_);
    const T scale = scale_;
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {  // a mask of bits, since a branch would be guessed wrong
      const Bits kept = Bits(0) - Bits(w[i] >= threshold);
      y[i] = std::bit_cast<T>(std::bit_cast<Bits>(x[i] * scale) & kept);
    }
  }

  int64_t n_;
  uint64_t threshold_;
  T scale_;
};

bool is_key(const Operand& o) { return o.dtype == DType::i64 && o.numel() == 1; }

}  // namespace

std::unique_ptr<Kernel> make_random_bits(Operands in, Operands out) {
  if (!is_key(in[0]) || out[0].dtype != DType::i64) return nullptr;
  return std::make_unique<RandomBits>(out[0].numel());
}

std::unique_ptr<Kernel> make_random_uniform(Operands in, Operands out) {
  if (!is_key(in[0]) || !is_float(out[0].dtype)) return nullptr;
  return std::make_unique<RandomFloats>(out[0].numel(), out[0].dtype, false);
}

std::unique_ptr<Kernel> make_random_normal(Operands in, Operands out) {
  if (!is_key(in[0]) || !is_float(out[0].dtype)) return nullptr;
  return std::make_unique<RandomFloats>(out[0].numel(), out[0].dtype, true);
}

std::unique_ptr<Kernel> make_dropout(Operands in, Operands out, double p) {
  const DType t = in[0].dtype;
  if (in.size() != 2 || !is_key(in[1]) || out[0].dtype != t || !(p >= 0 && p <= 1)) return nullptr;
  if (is_half(t))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_dropout(i, o, p); });
  if (!in[0].contiguous()) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Dropout<decltype(zero)>>(in[0].numel(), p);
  });
}

}  // namespace nacre::cpu
