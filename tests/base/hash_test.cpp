#include "base/hash.h"

#include <gtest/gtest.h>

#include <set>

#include "base/gzip.h"
#include "nacre/error.h"

namespace nacre {
namespace {

TEST(Hash, Crc32cOfRfc3720) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string up;
  for (char c = 0; c < 32; ++c) up += c;
  EXPECT_EQ(crc32c(up), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Hash, Crc32OfZip) { EXPECT_EQ(crc32_of("123456789"), 0xcbf43926u); }

TEST(Hash, EveryBitAndLengthCounts) {
  std::set<uint64_t> seen64;
  std::set<Hash128> seen128;
  size_t n = 0;
  for (size_t length = 0; length < 40; ++length) {
    std::string text(length, '\0');
    seen64.insert(hash64(text)), seen128.insert(hash128(text)), ++n;
    for (size_t bit = 0; bit < 8 * length; ++bit) {
      std::string flipped = text;
      flipped[bit / 8] = static_cast<char>(1 << (bit % 8));
      seen64.insert(hash64(flipped)), seen128.insert(hash128(flipped)), ++n;
    }
  }
  EXPECT_EQ(seen64.size(), n);
  EXPECT_EQ(seen128.size(), n);
  EXPECT_NE(hash64("a", 1), hash64("a", 2));
  EXPECT_NE(hash_combine(1, 2), hash_combine(2, 1));
}

TEST(Hash, AFlippedBitChangesHalfOfTheBits) {
  double changed = 0;
  const std::string text = "the quick brown fox jumps over it";
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    changed += __builtin_popcountll(hash64(text) ^ hash64(flipped));
  }
  EXPECT_NEAR(changed / (8.0 * static_cast<double>(text.size())), 32.0, 1.0);
}

TEST(Hash, HexIsHighThenLow) {
  EXPECT_EQ((Hash128{0x0123456789abcdef, 0xfedcba9876543210}.hex()),
            "0123456789abcdeffedcba9876543210");
}

TEST(Gzip, RoundTripAndCap) {
  std::string text;
  for (int64_t i = 0; i < 100000; ++i) text += std::to_string(i * i % 977);
  const std::string packed = gzip(text);
  EXPECT_LT(packed.size(), text.size());
  EXPECT_EQ(gunzip(packed, text.size(), "test"), text);
  EXPECT_THROW(gunzip(packed, text.size() - 1, "test"), Error);
  EXPECT_EQ(gunzip(packed + packed, 2 * text.size(), "test"), text + text);
  EXPECT_EQ(gunzip(gzip(""), 0, "test"), "");
  const std::string raw = deflate(text);
  EXPECT_EQ(inflate_exact(raw, text.size(), "test"), text);
  EXPECT_THROW(inflate_exact(raw, text.size() + 1, "test"), Error);
  EXPECT_THROW(inflate_exact(raw, text.size() - 1, "test"), Error);
}

TEST(Gzip, ABombIsStoppedAtTheCap) {
  const std::string bomb = gzip(std::string(64 << 20, '\0'));
  EXPECT_THROW(gunzip(bomb, 1 << 20, "bomb"), Error);
}

TEST(Gzip, DamageIsAnError) {
  const std::string packed = gzip("some text that is long enough to be worth it, it, it");
  for (size_t n = 0; n < packed.size(); ++n)
    EXPECT_THROW(gunzip(packed.substr(0, n), 1000, "cut"), Error) << n;
  std::string flipped = packed;
  flipped[packed.size() / 2] ^= 8;
  EXPECT_THROW(gunzip(flipped, 1000, "flipped"), Error);
}

}  // namespace
}  // namespace nacre
