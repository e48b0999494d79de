// Measures of how good predictions are, on plain numbers of the host.
//
//   const auto predicted = argmax_rows(scores, classes);
//   const ConfusionMatrix m = confusion_matrix(labels, predicted, classes);
//   const ClassificationReport r = classification_report(m);   // r.accuracy, r.macro.f1, ...
//
// Tables (scores, probabilities) are row-major: one row per sample, one column per class. Labels
// are 0..classes-1. Sums are made in double. All functions are pure and thread-safe; lengths that
// do not fit together, labels out of range and empty input throw Error(usage). Where a measure
// would divide zero by zero it is 0 unless stated otherwise, as in scikit-learn.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nacre {

/// The column of the largest score of each row; the first one of equals. NaN counts as smallest.
std::vector<int64_t> argmax_rows(std::span<const float> scores, int64_t classes);

/// Share of predictions that equal the label.
double accuracy(std::span<const int64_t> labels, std::span<const int64_t> predicted);

/// Share of rows whose label is among the k largest scores. A class that ties with the label counts
/// as larger, so that constant scores are not a hit.
double top_k_accuracy(std::span<const int64_t> labels, std::span<const float> scores,
                      int64_t classes, int64_t k);

/// counts[true * classes + predicted].
struct ConfusionMatrix {
  int64_t classes = 0;
  std::vector<int64_t> counts{};
  int64_t at(int64_t label, int64_t predicted) const {
    return counts[static_cast<size_t>(label * classes + predicted)];
  }
};
ConfusionMatrix confusion_matrix(std::span<const int64_t> labels,
                                 std::span<const int64_t> predicted, int64_t classes);

struct ClassScore {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  ///< samples with this label
};

/// Averages over the classes that occur among labels or predictions: plain (macro), and by support
/// (weighted).
struct ClassificationReport {
  std::vector<ClassScore> classes{};
  ClassScore macro{}, weighted{};
  double accuracy = 0;
};
ClassificationReport classification_report(const ConfusionMatrix& matrix);

/// Area under the receiver operating characteristic: the probability that a positive (label 1) has
/// a higher score than a negative (label 0), ties counted half. Throws Error(usage) if one of the
/// two is missing or a score is NaN.
double roc_auc(std::span<const int64_t> labels, std::span<const float> scores);

/// Plain mean of the areas of each class against the rest; every class must occur.
double roc_auc_one_vs_rest(std::span<const int64_t> labels, std::span<const float> scores,
                           int64_t classes);

/// Mean negative log-likelihood in nats of the label under rows of probabilities, which are clipped
/// to [2^-52, 1].
double log_loss(std::span<const int64_t> labels, std::span<const float> probabilities,
                int64_t classes);

/// Mean squared distance of rows of probabilities from the one-hot label (Brier 1950, 0 to 2).
double brier_score(std::span<const int64_t> labels, std::span<const float> probabilities,
                   int64_t classes);

/// How often predictions of a confidence are right, in bins of equal width over (0, 1].
struct Calibration {
  struct Bin {
    double confidence = 0, accuracy = 0;  ///< means over the bin's samples
    int64_t count = 0;
  };
  std::vector<Bin> bins{};
  /// Mean |accuracy - confidence|, weighted by count (Guo et al., ICML 2017), and the largest one.
  double expected_error = 0, maximum_error = 0;
};
Calibration calibration(std::span<const int64_t> labels, std::span<const float> probabilities,
                        int64_t classes, int64_t bins = 15);

/// calibration().expected_error.
double expected_calibration_error(std::span<const int64_t> labels,
                                  std::span<const float> probabilities, int64_t classes,
                                  int64_t bins = 15);

double mean_squared_error(std::span<const float> targets, std::span<const float> predicted);
double mean_absolute_error(std::span<const float> targets, std::span<const float> predicted);
/// Coefficient of determination: 1 is perfect, 0 is as good as the mean. Constant targets give 1
/// if they are met exactly, else 0.
double r2_score(std::span<const float> targets, std::span<const float> predicted);

}  // namespace nacre
