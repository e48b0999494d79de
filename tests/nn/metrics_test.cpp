#include "nacre/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "nacre/error.h"

namespace nacre {
namespace {

template <typename T>
std::vector<T> numbers(std::istream& in, size_t n) {
  std::vector<T> v(n);
  for (T& x : v) in >> x;
  return v;
}

struct MetricCase {
  int64_t classes = 0;
  std::vector<int64_t> labels{};
  std::vector<float> table{};  ///< or the predictions of a regression
  std::vector<float> targets{};
};

/// What nacre says to a line of the golden file.
std::vector<double> measure(const std::string& name, const MetricCase& c) {
  const auto& [k, y, p, t] = c;
  if (name == "mse") return {mean_squared_error(t, p)};
  if (name == "mae") return {mean_absolute_error(t, p)};
  if (name == "r2") return {r2_score(t, p)};
  const auto guess = argmax_rows(p, k);
  const ConfusionMatrix m = confusion_matrix(y, guess, k);
  const ClassificationReport r = classification_report(m);
  std::vector<double> out;
  if (name == "accuracy") return {accuracy(y, guess)};
  if (name == "confusion") return {m.counts.begin(), m.counts.end()};
  if (name == "macro") return {r.macro.precision, r.macro.recall, r.macro.f1};
  if (name == "weighted") return {r.weighted.precision, r.weighted.recall, r.weighted.f1};
  if (name == "log_loss") return {log_loss(y, p, k)};
  if (name == "brier") return {brier_score(y, p, k)};
  if (name.starts_with("top")) return {top_k_accuracy(y, p, k, name[3] - '0')};
  if (name == "ece10") return {expected_calibration_error(y, p, k, 10)};
  if (name == "ece15") return {expected_calibration_error(y, p, k)};
  if (name == "auc_ovr") return {roc_auc_one_vs_rest(y, p, k)};
  if (name == "auc1") {
    std::vector<int64_t> is_one;
    std::vector<float> score;
    for (size_t i = 0; i < y.size(); ++i) {
      is_one.push_back(y[i] == 1);
      score.push_back(p[i * static_cast<size_t>(k) + 1]);
    }
    return {roc_auc(is_one, score)};
  }
  for (const ClassScore& s : r.classes)
    out.push_back(name == "precision" ? s.precision
                  : name == "recall"  ? s.recall
                  : name == "f1"      ? s.f1
                  : name == "support" ? static_cast<double>(s.support)
                                      : NAN);
  return out;
}

// Values of sklearn.metrics.classification_report, which names the classes that occur.
TEST(ClassificationReport, AveragesOverClassesThatOccur) {
  const std::vector<int64_t> labels = {0, 0, 2}, predicted = {0, 2, 2};
  const auto r = classification_report(confusion_matrix(labels, predicted, 4));
  EXPECT_NEAR(r.macro.f1, 2.0 / 3, 1e-12);
  EXPECT_NEAR(r.macro.precision, 0.75, 1e-12);
  EXPECT_NEAR(r.macro.recall, 0.75, 1e-12);
}

TEST(Metrics, EqualScikitLearn) {
  std::ifstream in(NACRE_SOURCE_DIR "/tests/nn/goldens/metrics.txt");
  ASSERT_TRUE(in.good());
  MetricCase c;
  std::string text;
  int checked = 0;
  while (std::getline(in, text)) {
    std::istringstream line(text);
    std::string name;
    line >> name;
    if (name == "case" || name == "regression") {
      c = MetricCase();
      size_t n = 0;
      if (name == "case") line >> c.classes;
      line >> n;
      if (name == "case")
        c.labels = numbers<int64_t>(in, n);
      else
        c.targets = numbers<float>(in, n);
      c.table = numbers<float>(in, c.classes ? n * static_cast<size_t>(c.classes) : n);
      std::getline(in, text);
      continue;
    }
    const std::vector<double> got = measure(name, c);
    double expected = 0;
    for (double g : got) {
      ASSERT_TRUE(line >> expected) << text;
      EXPECT_NEAR(g, expected, 1e-9 * (1 + std::abs(expected))) << name << ", " << c.classes;
      ++checked;
    }
    EXPECT_FALSE(line >> expected) << text;
  }
  EXPECT_GT(checked, 200);
}

TEST(Metrics, TiesAndNaN) {
  EXPECT_EQ(argmax_rows(std::vector<float>{NAN, 1, 1, NAN, NAN, 0}, 3),
            (std::vector<int64_t>{1, 2}));
  const std::vector<int64_t> y{0, 1};
  EXPECT_EQ(top_k_accuracy(y, std::vector<float>{0, 0, 0, 0}, 2, 1), 0);
  EXPECT_EQ(top_k_accuracy(y, std::vector<float>{0, 0, 0, 0}, 2, 2), 1);
  EXPECT_EQ(top_k_accuracy(y, std::vector<float>{NAN, 0, 0, 1}, 2, 1), 0.5);
  EXPECT_EQ(roc_auc(y, std::vector<float>{0.5f, 0.5f}), 0.5);
}

TEST(Metrics, EdgesOfProbabilities) {
  const std::vector<int64_t> y{0, 1};
  const std::vector<float> sure{1, 0, 1, 0};
  EXPECT_NEAR(log_loss(y, sure, 2), 26 * std::log(2.0), 1e-12);
  const Calibration c = calibration(y, sure, 2, 4);
  EXPECT_EQ(c.bins[3].count, 2);
  EXPECT_EQ(c.bins[3].accuracy, 0.5);
  EXPECT_EQ(c.expected_error, 0.5);
  EXPECT_EQ(c.maximum_error, 0.5);
  EXPECT_EQ(brier_score(y, sure, 2), 1.0);
}

TEST(Metrics, ConstantTargets) {
  const std::vector<float> one{2, 2}, off{2, 3};
  EXPECT_EQ(r2_score(one, one), 1);
  EXPECT_EQ(r2_score(one, off), 0);
}

TEST(Metrics, BadInputIsAnError) {
  const std::vector<int64_t> y{0, 2}, none;
  const std::vector<float> p{0.5f, 0.5f, 0.5f, 0.5f};
  EXPECT_THROW(log_loss(y, p, 2), Error);
  EXPECT_THROW(confusion_matrix(y, y, 2), Error);
  EXPECT_THROW(confusion_matrix(y, y, int64_t{1} << 40), Error);
  EXPECT_THROW(accuracy(y, none), Error);
  EXPECT_THROW(accuracy(none, none), Error);
  EXPECT_THROW(argmax_rows(p, 3), Error);
  EXPECT_THROW(argmax_rows(p, 0), Error);
  EXPECT_THROW(roc_auc(std::vector<int64_t>{1, 1}, std::vector<float>{0, 1}), Error);
  EXPECT_THROW(roc_auc(std::vector<int64_t>{0, 1}, std::vector<float>{0, NAN}), Error);
  EXPECT_THROW(top_k_accuracy(std::vector<int64_t>{0, 1}, p, 2, 0), Error);
  EXPECT_THROW(calibration(std::vector<int64_t>{0, 1}, std::vector<float>{7, 0, 1, 0}, 2), Error);
}

}  // namespace
}  // namespace nacre
