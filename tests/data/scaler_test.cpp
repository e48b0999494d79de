#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nacre/error.h"
#include "nacre/transforms.h"

namespace nacre {
namespace {

constexpr Scaler::Kind kKinds[] = {Scaler::Kind::min_max, Scaler::Kind::z_score,
                                   Scaler::Kind::robust, Scaler::Kind::unit_norm};

/// Columns of very different units; the last is constant.
std::vector<double> table(int rows, uint64_t seed) {
  Rng rng{Key(seed)};
  std::vector<double> out;
  for (int i = 0; i < rows; ++i) {
    out.push_back(1e3 + 20 * rng.normal());
    out.push_back(1e-3 * rng.gamma(2));
    out.push_back(7);
  }
  return out;
}

TEST(Scaler, InverseUndoesTransform) {
  const auto train = table(200, 1), fresh = table(50, 2);
  for (const auto kind : kKinds) {
    Scaler scaler(kind);
    scaler.fit(train, 3);
    auto rows = fresh;
    const auto lengths = scaler.transform(rows);
    EXPECT_NE(rows, fresh);
    scaler.inverse(rows, lengths);
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_NEAR(rows[i], fresh[i], 1e-6);
  }
}

TEST(Scaler, StreamEqualsBatch) {
  const auto train = table(1000, 3);
  for (const auto kind : kKinds) {
    Scaler whole(kind), parts(kind);
    whole.fit(train, 3);
    for (size_t from = 0; from < train.size();) {
      const size_t n = std::min<size_t>(train.size() - from, 3 * (1 + from % 37));
      parts.fit(std::span(train).subspan(from, n), 3);
      from += n;
    }
    auto a = table(20, 4), b = a;
    whole.transform(a);
    parts.transform(b);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-9);
  }
}

TEST(Scaler, ValuesAreTheStatedOnes) {
  const std::vector<double> train = {1, 10, 2, 20, 3, 30, 4, 40, 10, std::nan("")};
  auto scaled = [&](Scaler::Kind kind) {
    Scaler s(kind);
    s.fit(train, 2);
    std::vector<double> row = {5, 30};
    s.transform(row);
    return row;
  };
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::min_max)[0], 4.0 / 9);
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::min_max)[1], 2.0 / 3);
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::z_score)[0], 1 / std::sqrt(10.0));
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::z_score)[1], 5 / std::sqrt(125.0));
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::robust)[0], 1.0);
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::robust)[1], 5 / 15.0);
  EXPECT_DOUBLE_EQ(scaled(Scaler::Kind::unit_norm)[0], 5 / std::sqrt(925.0));
}

TEST(Scaler, OnlyFitChangesIt) {
  Scaler s(Scaler::Kind::z_score);
  s.fit(table(50, 5), 3);
  const std::string before = s.step();
  auto test = table(50, 6);
  s.transform(test);
  s.inverse(test);
  EXPECT_EQ(s.step(), before);
}

TEST(Scaler, StepDoesTheSameToFeatures) {
  for (const auto kind : kKinds) {
    Scaler s(kind);
    s.fit(table(100, 7), 3);
    auto row = table(1, 8);
    Sample sample;
    sample.features.assign(row.begin(), row.end());
    row.assign(sample.features.begin(), sample.features.end());
    Transform::parse(s.step()).apply(sample, false, Key(0));
    s.transform(row);
    for (size_t i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(sample.features[i], static_cast<float>(row[i]));
  }
}

TEST(Scaler, MistakesAreErrors) {
  Scaler s(Scaler::Kind::min_max);
  std::vector<double> row = {1, 2, 3};
  EXPECT_THROW(s.transform(row), Error);
  EXPECT_THROW(s.fit(row, 2), Error);
  s.fit(row, 3);
  EXPECT_THROW(s.fit(row, 1), Error);
  EXPECT_THROW(scaler_from_name("zscore"), Error);
  EXPECT_EQ(scaler_from_name("robust"), Scaler::Kind::robust);
  Sample wrong;
  wrong.features = {1};
  EXPECT_THROW(Transform::parse(s.step()).apply(wrong, false, Key(0)), Error);
  Sample missing;
  missing.features = {1, std::numeric_limits<float>::quiet_NaN()};
  Transform::parse("impute([5,6])").apply(missing, false, Key(0));
  EXPECT_EQ(missing.features[1], 6);
}

}  // namespace
}  // namespace nacre
