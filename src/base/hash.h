// Checksums and content hashes. None of them resists an attacker; all are the same on every
// machine, so they may be stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nacre {

/// CRC-32C (Castagnoli), as event files use it; with the processor's instruction where there is
/// one.
uint32_t crc32c(std::string_view bytes);

/// A 64-bit hash of bytes, about 8 bytes at a time.
uint64_t hash64(std::string_view bytes, uint64_t seed = 0);

/// A 128-bit hash, to name content by (data sets, plans, duplicate files).
struct Hash128 {
  uint64_t high = 0, low = 0;
  /// 32 hexadecimal digits.
  std::string hex() const;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};
Hash128 hash128(std::string_view bytes);

/// A well mixed combination of two hashes; the order matters.
uint64_t hash_combine(uint64_t a, uint64_t b);

}  // namespace nacre
