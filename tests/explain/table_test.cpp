#include <numeric>

#include "explain/small.h"

namespace nacre::test {
namespace {

using explain::Column;

const std::vector<Column> kThree = {{"a", 0, 1}, {"b", 1, 1}, {"c", 2, 1}};

/// y = 3 a - 2 b, and c plays no part.
explain::Scores linear() {
  return [](const Tensor& x) { return matmul(x, Tensor::from<float>({3, -2, 0}, {3, 1})); };
}

TEST(Importance, OfALinearModelIsTwiceTheShareOfVariance) {
  const Tensor x = normal({4000, 3}, Key(1));
  const auto f = linear();
  const auto list = explain::permutation_importance(f, x, explain::r2_of(f(x).to_vector<float>()),
                                                    kThree, {.repeats = 10});
  // Var(3 a) = 9 and Var(2 b) = 4 of 13; a shuffle adds each twice to the error.
  EXPECT_NEAR(list[0].mean, 2 * 9.0 / 13, 0.03);
  EXPECT_NEAR(list[1].mean, 2 * 4.0 / 13, 0.03);
  EXPECT_EQ(list[2].mean, 0);
  EXPECT_GT(list[0].deviation, 0);
  EXPECT_EQ(list[2].column, "c");
}

TEST(Importance, CategoriesMoveTogether) {
  // The class is the category; the noise has no part in it.
  std::vector<float> rows;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 300; ++i) {
    for (int64_t k = 0; k < 3; ++k) rows.push_back(i % 3 == k ? 1.f : 0.f);
    rows.push_back(static_cast<float>(i));
    labels.push_back(i % 3);
  }
  bool whole = true;
  const explain::Scores f = [&](const Tensor& x) {
    const Tensor hot = slice(x, 1, 0, 3);
    const Tensor in_row = sum(hot, {1});
    whole = whole && amin(in_row).item() == 1 && amax(in_row).item() == 1;
    return hot;
  };
  const auto list = explain::permutation_importance(
      f, Tensor::from(rows, {300, 4}), explain::accuracy_of(labels),
      {{"kind", 0, 3, {"x", "y", "z"}}, {"noise", 3, 1}}, {.repeats = 20});
  EXPECT_TRUE(whole) << "a row had no category, or two";
  EXPECT_NEAR(list[0].mean, 2.0 / 3, 0.03);
  EXPECT_EQ(list[1].mean, 0);
}

TEST(PartialDependence, ByHand) {
  const Tensor x = Tensor::from<float>({0, 1, 0, 1, 2, 0, 2, 6, 0}, {3, 3});
  const auto d = explain::partial_dependence(linear(), x, kThree[0]);
  // 3 a minus the mean of 2 b (6), at each of the three values of a.
  EXPECT_EQ(d.at, (std::vector<double>{0, 1, 2}));
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(d.mean[i][0], 3 * d.at[i] - 6, 1e-5);
  const Tensor many = uniform({1000, 3}, Key(3));
  const auto e = explain::partial_dependence(linear(), many, kThree[1], 5);
  ASSERT_EQ(e.at.size(), 5u);
  EXPECT_NEAR(e.at[0], 0.05, 0.02);
  EXPECT_NEAR(e.at[4], 0.95, 0.02);
  EXPECT_NEAR((e.mean[4][0] - e.mean[0][0]) / (e.at[4] - e.at[0]), -2, 1e-4);
}

TEST(PartialDependence, OfCategories) {
  const Tensor x = Tensor::from<float>({1, 0, 5, 0, 1, 7}, {2, 3});
  const explain::Scores f = [](const Tensor& t) {
    return matmul(t, Tensor::from<float>({10, 20, 1}, {3, 1}));
  };
  const auto d = explain::partial_dependence(f, x, {"kind", 0, 2, {"x", "y"}});
  EXPECT_EQ(d.categories, (std::vector<std::string>{"x", "y"}));
  EXPECT_NEAR(d.mean[0][0], 16, 1e-5);
  EXPECT_NEAR(d.mean[1][0], 26, 1e-5);
}

TEST(ShapOfRows, OfALinearModelIsWeightTimesDistanceFromTheMean) {
  const Tensor background = normal({50, 3}, Key(1));
  const Tensor row = Tensor::from<float>({1, 2, 3}, {1, 3});
  const auto phi = explain::shap(linear(), row, 0, background, kThree);
  const auto m = mean(background, {0}).to_vector<double>();
  EXPECT_NEAR(phi[0], 3 * (1 - m[0]), 1e-4);
  EXPECT_NEAR(phi[1], -2 * (2 - m[1]), 1e-4);
  EXPECT_NEAR(phi[2], 0, 1e-5);
}

TEST(Columns, FollowTheSchema) {
  TableSchema s;
  s.columns = {{"age", TableColumn::Kind::number, {}},
               {"sick", TableColumn::Kind::category, {"no", "yes"}},
               {"town", TableColumn::Kind::category, {"Bern", "Oslo", "Rome"}},
               {"size", TableColumn::Kind::number, {}}};
  s.target = 1;
  const auto columns = explain::columns_of(s);
  ASSERT_EQ(columns.size(), 3u);
  EXPECT_EQ(columns[1].name, "town");
  EXPECT_EQ(columns[1].first, 1);
  EXPECT_EQ(columns[1].count, 3);
  EXPECT_EQ(columns[2].first, 4);
  EXPECT_EQ(s.features(), 5);
}

TEST(Columns, OutsideTheTableAreRefused) {
  EXPECT_THROW(explain::partial_dependence(linear(), ones({2, 3}), {"d", 3, 1}), Error);
  EXPECT_THROW(
      explain::permutation_importance(linear(), ones({3}), explain::r2_of({1, 2, 3}), kThree),
      Error);
}

}  // namespace
}  // namespace nacre::test
