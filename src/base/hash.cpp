#include "base/hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace nacre {
namespace {

static_assert(std::endian::native == std::endian::little);

/// The high and low half of a 128-bit product, folded.
uint64_t fold_multiply(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Odd constants: fractions of the square roots of 2, 3, 5 and 7.
constexpr uint64_t k0 = 0x6a09e667f3bcc909, k1 = 0xbb67ae8584caa73b, k2 = 0x3c6ef372fe94f82b,
                   k3 = 0xa54ff53a5f1d36f1;

uint64_t load(const char* p, size_t n) {
  uint64_t v = 0;
  std::memcpy(&v, p, n);
  return v;
}

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
  return table;
}();

uint32_t crc32c_table(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (unsigned char byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ byte) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse(std::string_view bytes) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t crc = ~0u;
  for (; n >= 8; p += 8, n -= 8) crc = __builtin_ia32_crc32di(crc, load(p, 8));
  auto rest = static_cast<uint32_t>(crc);
  for (; n > 0; ++p, --n) rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(*p));
  return ~rest;
}
#endif

}  // namespace

uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_sse(bytes);
#endif
  return crc32c_table(bytes);
}

uint64_t hash64(std::string_view bytes, uint64_t seed) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t a = seed ^ k0, b = seed + k1;
  for (; n >= 16; p += 16, n -= 16) {
    a = fold_multiply(a ^ load(p, 8), k2) + b;
    b = fold_multiply(b ^ load(p + 8, 8), k3) ^ a;
  }
  if (n >= 8) {
    a = fold_multiply(a ^ load(p, 8), k2) + b;
    p += 8, n -= 8;
  }
  // The length keeps a tail of zero bytes apart from no tail.
  if (n > 0) b = fold_multiply(b ^ load(p, n), k3) ^ a;
  return fold_multiply(a ^ bytes.size() ^ k1, b ^ k0);
}

Hash128 hash128(std::string_view bytes) {
  return {hash64(bytes, 0x243f6a8885a308d3), hash64(bytes, 0x13198a2e03707344)};
}

std::string Hash128::hex() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string s(32, '0');
  for (size_t i = 0; i < 16; ++i) {
    s[15 - i] = digits[(high >> (4 * i)) & 15];
    s[31 - i] = digits[(low >> (4 * i)) & 15];
  }
  return s;
}

uint64_t hash_combine(uint64_t a, uint64_t b) { return fold_multiply(a ^ k0, b + k2) + a; }

}  // namespace nacre
