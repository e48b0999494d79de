// Outliers, jumps, wrong labels and useless columns that were put there.
#include "nacre/screening.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/readers.h"
#include "nacre/error.h"

namespace nacre {
namespace {

/// How often an outlier has a larger score than another row.
double auroc(const std::vector<double>& score, const std::vector<bool>& odd) {
  double right = 0, pairs = 0;
  for (size_t i = 0; i < score.size(); ++i)
    for (size_t j = 0; j < score.size(); ++j)
      if (odd[i] && !odd[j]) {
        ++pairs;
        right += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
      }
  return right / pairs;
}

/// Rows of six columns that depend on two numbers, and one in twenty that is anywhere.
struct Table {
  std::vector<float> x;
  std::vector<bool> odd;
  explicit Table(uint64_t seed) {
    Rng rng{Key(seed)};
    for (int i = 0; i < 600; ++i) {
      odd.push_back(i % 20 == 7);
      const double a = rng.normal(), b = rng.normal();
      for (int c = 0; c < 6; ++c) {
        const double own = (c % 2 ? a + 0.2 * c * b : b - 0.3 * c * a) + 0.2 * rng.normal();
        const double v = odd.back() ? rng.uniform(-5, 5) : own;
        x.push_back(static_cast<float>(100 * c + std::pow(10, c - 2) * v));
      }
    }
  }
};

TEST(Outliers, InOneOfTwentyRowsAreFound) {
  for (const uint64_t seed : {1, 2, 3}) {
    const Table t(seed);
    EXPECT_GE(auroc(isolation_scores(t.x, 6), t.odd), 0.95) << seed;
    EXPECT_GE(auroc(mahalanobis_scores(t.x, 6), t.odd), 0.95) << seed;
    EXPECT_GE(auroc(autoencoder_scores(t.x, 6), t.odd), 0.95) << seed;
  }
}

TEST(Outliers, DistancesOfNormalRowsAreThoseOfChiSquare) {
  // 3000 rows of 4 columns, of which a fifth lies far off in one heap: the others' distances have
  // the quantiles of chi-square with 4 degrees of freedom all the same, 3.36 (0.5) and 9.49 (0.95).
  Rng rng{Key(5)};
  std::vector<float> x;
  for (int i = 0; i < 3000; ++i)
    for (int c = 0; c < 4; ++c)
      x.push_back(static_cast<float>(i % 5 == 0 ? 30 + 0.1 * rng.normal() : rng.normal()));
  const auto d = mahalanobis_scores(x, 4);
  std::vector<double> usual;
  for (size_t i = 0; i < d.size(); ++i) {
    if (i % 5)
      usual.push_back(d[i]);
    else
      EXPECT_GT(d[i], 1000);
  }
  std::sort(usual.begin(), usual.end());
  const double ratio = usual[usual.size() * 95 / 100] / usual[usual.size() / 2];
  EXPECT_NEAR(ratio, 9.49 / 3.36, 0.5);
}

TEST(Outliers, AreNamedByTheCheckOfATable) {
  Rng rng{Key(4)};
  std::string csv = "a,b,c,kind\n";
  for (int i = 0; i < 200; ++i) {
    for (int c = 0; c < 3; ++c) csv += std::to_string(i == 120 ? 900 : rng.normal()) + ",";
    csv += i % 2 ? "x\n" : "y\n";
  }
  const auto findings = check_dataset({"table", data::csv_dataset(csv, {}, "t"), {}, {}, {}});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "outlier");
  EXPECT_EQ(findings[0].examples, std::vector<std::string>{"t line 122"});
}

TEST(Jumps, AreFoundWithinTwoSamples) {
  Rng rng{Key(2)};
  const std::vector<int64_t> places = {100, 180, 300, 421};
  const double levels[] = {0, 5, 1, -4, 0};
  std::vector<double> signal;
  for (int64_t i = 0; i < 500; ++i) {
    const auto k = std::upper_bound(places.begin(), places.end(), i) - places.begin();
    signal.push_back(levels[k] + 0.003 * static_cast<double>(i) + rng.normal());
  }
  const auto found = find_jumps(signal);
  ASSERT_EQ(found.size(), places.size());
  for (size_t i = 0; i < places.size(); ++i) EXPECT_LE(std::abs(found[i] - places[i]), 2);
  std::vector<double> noise;
  for (int i = 0; i < 500; ++i) noise.push_back(rng.normal());
  EXPECT_TRUE(find_jumps(noise).empty());
  EXPECT_TRUE(find_jumps(std::vector<double>(100, 3.0)).empty());
}

TEST(Labels, ThatWereChangedAreSuspected) {
  Rng rng{Key(3)};
  std::vector<int64_t> labels;
  std::vector<float> p;
  std::vector<bool> wrong;
  for (int i = 0; i < 1000; ++i) {
    const auto truth = static_cast<int64_t>(rng.below(3));
    wrong.push_back(i % 20 == 0);
    labels.push_back(wrong.back() ? (truth + 1) % 3 : truth);
    const double sure = rng.uniform(0.5, 0.95);
    for (int64_t c = 0; c < 3; ++c)
      p.push_back(static_cast<float>(c == truth ? sure : (1 - sure) / 2));
  }
  const auto suspects = label_suspects(labels, p, 3);
  double right = 0;
  for (const int64_t i : suspects) right += wrong[static_cast<size_t>(i)];
  EXPECT_EQ(right, static_cast<double>(suspects.size()));
  EXPECT_GT(right, 20);  // of 50: those whose class is surer than on average
}

/// Ten columns that say something of the class, ninety that do not.
void useful_and_not(uint64_t seed, bool classes, std::vector<float>& x, std::vector<float>& y) {
  Rng rng{Key(seed)};
  for (int i = 0; i < 500; ++i) {
    double sum = 0;
    for (int c = 0; c < 100; ++c) {
      x.push_back(static_cast<float>(rng.normal()));
      if (c % 10 == 3) sum += x.back();
    }
    y.push_back(classes ? static_cast<float>(sum + rng.normal() > 0) : static_cast<float>(sum));
  }
}

TEST(Columns, ThatSayNothingAreLeftOut) {
  for (const uint64_t seed : {1, 2, 3})
    for (const bool classes : {false, true}) {
      std::vector<float> x, y;
      useful_and_not(seed, classes, x, y);
      const auto kept = select_columns(x, 100, y, classes);
      const auto useful =
          std::count_if(kept.begin(), kept.end(), [](int64_t c) { return c % 10 == 3; });
      EXPECT_GE(useful, 9);
      EXPECT_LE(static_cast<int64_t>(kept.size()) - useful, 5);
    }
}

TEST(Columns, FittedToSomeRowsKnowNothingOfOthers) {
  // Labels by chance: on new rows no column helps, and the choice does not change with them.
  Rng rng{Key(1)};
  std::vector<Sample> rows(300);
  for (Sample& s : rows) {
    for (int c = 0; c < 20; ++c) s.features.push_back(static_cast<float>(rng.normal()));
    s.label = static_cast<int64_t>(rng.below(2));
  }
  const auto part = [&] {
    return fit_columns(*from_samples({rows.begin(), rows.begin() + 200}, {"a", "b"}));
  };
  const std::string before = part();
  for (size_t i = 200; i < 300; ++i)
    for (float& v : rows[i].features) v = static_cast<float>(rows[i].label);
  EXPECT_EQ(part(), before);
  EXPECT_NE(fit_columns(*from_samples(rows, {"a", "b"})), before);
  Sample s = rows[0];
  Transform::parse("columns([3,0])").apply(s, false, Key(0));
  EXPECT_EQ(s.features, (std::vector<float>{rows[0].features[3], rows[0].features[0]}));
  EXPECT_THROW(Transform::parse("columns([20])").apply(rows[0], false, Key(0)), Error);
}

TEST(Screening, SizesThatDoNotFitAreNamed) {
  const std::vector<float> x(10, 1.0f);
  const std::vector<int64_t> labels = {0, 1};
  EXPECT_THROW(isolation_scores(x, 3), Error);
  EXPECT_THROW(mahalanobis_scores(x, 5), Error);
  EXPECT_THROW(label_suspects(labels, x, 2), Error);
  EXPECT_THROW(select_columns(x, 5, x, true), Error);
  EXPECT_EQ(isolation_scores(x, 1).size(), 10u);  // all rows are equal
}

}  // namespace
}  // namespace nacre
