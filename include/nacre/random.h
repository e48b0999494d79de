// Random numbers are a pure function of (key, index): Philox4x32-10 (Salmon et al., SC 2011).
//
//   Key key(42);                 // from a seed
//   Key a = key.fold_in("conv1"); // independent streams, by name or number
//   Tensor noise = normal({8, 3}, a);
//
// The same key always gives the same numbers, whatever the number of threads. Values of a Key are
// inputs of a compiled plan, so a new key never recompiles.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nacre {

class Key {
 public:
  explicit Key(uint64_t seed = 0) : value_(seed) {}
  /// An independent key, by number or by name.
  Key fold_in(uint64_t n) const;
  Key fold_in(std::string_view name) const;
  uint64_t value() const { return value_; }
  friend bool operator==(const Key&, const Key&) = default;

 private:
  uint64_t value_;
};

/// Four random 32-bit words at position `index` of the stream of `key`.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t index);

/// The random word of element i (word i % 4 of block i / 4).
inline uint32_t random_word(uint64_t key, uint64_t i) { return philox(key, i / 4)[i % 4]; }

/// Host-side random numbers from a key, for shuffling and augmentation. Not thread-safe; one per
/// thread and purpose.
class Rng {
 public:
  explicit Rng(Key key) : key_(key.value()) {}
  uint32_t next_u32();
  /// Uniform in [0, 1) with 53 random bits.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in 0..n-1, without bias. n >= 1.
  uint64_t below(uint64_t n);
  double normal();
  /// Gamma(shape, 1), by Marsaglia and Tsang (2000).
  double gamma(double shape);
  double beta(double a, double b);
  bool bernoulli(double p) { return uniform() < p; }
  template <typename It>
  void shuffle(It first, It last) {
    for (uint64_t n = static_cast<uint64_t>(last - first); n > 1; --n) {
      const auto j = below(n);
      std::swap(first[n - 1], first[j]);
    }
  }

 private:
  uint64_t key_, block_ = 0;
  std::array<uint32_t, 4> words_{};
  int left_ = 0;
};

}  // namespace nacre
