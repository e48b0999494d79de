// Random kernels against nacre/random.h, element by element.
#include "backends/cpu/random/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numbers>

#include "arrays.h"
#include "base/parallel.h"
#include "nacre/random.h"

namespace nacre::cpu {
namespace {

using nacre::test::Array;

Array key_array(uint64_t key) {
  Array a(DType::i64, {});
  a.as<int64_t>(0) = static_cast<int64_t>(key);
  return a;
}

using RandomMaker = std::unique_ptr<Kernel> (*)(Operands, Operands);

Array draw(RandomMaker make, uint64_t key, Array out) {
  const Array k = key_array(key);
  const std::vector<Operand> in = {k.operand()}, outs = {out.operand()};
  const auto kernel = make(in, outs);
  EXPECT_TRUE(kernel);
  if (kernel) nacre::test::run(*kernel, {k.bytes.data()}, {out.bytes.data()});
  return out;
}

constexpr uint64_t kKeys[] = {0, 42, 0xfedcba9876543210ull};

TEST(Random, WordsAreThoseOfThePublicGenerator) {
  for (uint64_t key : kKeys)
    for (int64_t n : {0, 1, 3, 4, 5, 33, 1024, 1025, 40000}) {
      const Array y = draw(make_random_bits, key, Array(DType::i64, {n}));
      for (int64_t i = 0; i < n; ++i)
        ASSERT_EQ(y.as<int64_t>(i), random_word(key, static_cast<uint64_t>(i))) << i;
    }
  // Block numbers of more than 32 bits.
  uint32_t w[36];
  random_words(7, 0xfffffffe, 9, w);
  for (uint64_t i = 0; i < 36; ++i) EXPECT_EQ(w[i], philox(7, 0xfffffffe + i / 4)[i % 4]) << i;
}

TEST(Random, Uniform) {
  for (uint64_t key : kKeys) {
    const int64_t n = 3001;
    const Array f = draw(make_random_uniform, key, Array(DType::f32, {n})),
                d = draw(make_random_uniform, key, Array(DType::f64, {n}));
    for (int64_t i = 0; i < n; ++i) {
      const uint64_t k = static_cast<uint64_t>(i);
      ASSERT_EQ(f.at(i), (random_word(key, k) >> 8) / 16777216.0);
      const uint64_t bits =
          uint64_t{random_word(key, 2 * k) >> 5} << 26 | random_word(key, 2 * k + 1) >> 6;
      ASSERT_EQ(d.at(i), static_cast<double>(bits) / 9007199254740992.0);
    }
    for (DType t : {DType::bf16, DType::f16}) {
      const Array h = draw(make_random_uniform, key, Array(t, {n}));
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_LT(h.at(i), 1);
        ASSERT_LE(h.at(i), f.at(i));
        ASSERT_GT(h.at(i), f.at(i) - (t == DType::bf16 ? 0x1p-8 : 0x1p-11));
      }
    }
  }
}

TEST(Random, NormalIsBoxMullerOfTheDocumentedWords) {
  for (uint64_t key : kKeys)
    for (int64_t n : {1, 2, 7, 1024, 3001}) {
      const Array f = draw(make_random_normal, key, Array(DType::f32, {n})),
                  d = draw(make_random_normal, key, Array(DType::f64, {n})),
                  u = draw(make_random_uniform, key, Array(DType::f64, {n + 1}));
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t j = static_cast<uint64_t>(i) / 2 * 2;
        const double angle = 2 * std::numbers::pi * random_word(key, j + 1) * 0x1p-32;
        const double r = std::sqrt(-2 * std::log((random_word(key, j) + 1.0) * 0x1p-32));
        ASSERT_NEAR(f.at(i), r * (i % 2 ? std::sin(angle) : std::cos(angle)), 3e-6) << i;
        const int64_t at = static_cast<int64_t>(j);
        const double angle64 = 2 * std::numbers::pi * u.at(at + 1);
        const double r64 = std::sqrt(-2 * std::log(1 - u.at(at)));
        ASSERT_NEAR(d.at(i), r64 * (i % 2 ? std::sin(angle64) : std::cos(angle64)), 1e-13) << i;
      }
    }
}

TEST(Random, NormalHasTheMomentsOfTheDistribution) {
  const int64_t n = 400000;
  const Array x = draw(make_random_normal, 1, Array(DType::f32, {n}));
  double moment[5] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(x.at(i), k) / static_cast<double>(n);
  EXPECT_NEAR(moment[1], 0, 0.008);
  EXPECT_NEAR(moment[2], 1, 0.012);
  EXPECT_NEAR(moment[3], 0, 0.035);
  EXPECT_NEAR(moment[4], 3, 0.09);
}

TEST(Random, SameBitsOnAnyNumberOfThreads) {
  std::vector<char> first;
  for (int threads : {1, 2, 4}) {
    set_num_threads(threads);
    const Array x = draw(make_random_normal, 5, Array(DType::f32, {100001}));
    if (first.empty()) first = x.bytes;
    EXPECT_EQ(x.bytes, first);
  }
  set_num_threads(2);
}

TEST(Random, Dropout) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (double p : {0.0, 0.1, 0.5, 1.0}) {
      const int64_t n = 5000;
      const uint64_t seed = 99;
      const Array x = nacre::test::random_array(t, {n}, 1), key = key_array(seed);
      Array y(t, {n});
      const Operand in[] = {x.operand(), key.operand()}, out[] = {y.operand()};
      const auto kernel = make_dropout(in, out, p);
      ASSERT_TRUE(kernel);
      nacre::test::run(*kernel, {x.bytes.data(), key.bytes.data()}, {y.bytes.data()});
      int64_t kept = 0;
      for (int64_t i = 0; i < n; ++i) {
        const bool keep = random_word(seed, static_cast<uint64_t>(i)) >= p * 0x1p32;
        kept += keep;
        const double scale = t == DType::f64 ? 1 / (1 - p) : static_cast<float>(1 / (1 - p));
        ASSERT_EQ(y.at(i), keep ? nacre::test::rounded(x.at(i) * scale, t) : 0) << i;
      }
      EXPECT_NEAR(static_cast<double>(kept), n * (1 - p), 150);
    }
}

TEST(Random, RefusesWhatIsNoKey) {
  const Operand bad[] = {Array(DType::f32, {}).operand()},
                pair[] = {Array(DType::i64, {2}).operand()};
  const Operand out[] = {Array(DType::f32, {3}).operand()};
  EXPECT_FALSE(make_random_uniform(bad, out));
  EXPECT_FALSE(make_random_uniform(pair, out));
}

}  // namespace
}  // namespace nacre::cpu
