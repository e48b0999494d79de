// What is odd about data: rows that lie apart, labels that others contradict, jumps of a signal,
// and columns that say nothing of what is to be predicted.
//
//   const std::vector<double> score = isolation_scores(x, columns);    // above 0.6 is odd
//   for (int64_t i : label_suspects(labels, probabilities, classes)) ...
//
// Rows are given row after row; NaN is a missing value and counts as the median of its column.
// Functions are deterministic and thread-safe. They throw Error(usage) for sizes that do not fit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nacre/data.h"

namespace nacre {

/// How soon random splits part a row from the others, 0 to 1: about 0.5 for all where nothing lies
/// apart, near 1 for what does. (Isolation forest, Liu, Ting and Zhou 2008: `trees` trees on
/// samples of `sample` rows.)
std::vector<double> isolation_scores(std::span<const float> x, int64_t columns, uint64_t seed = 0,
                                     int trees = 200, int64_t sample = 256);

/// The squared Mahalanobis distance of each row from the centre of the half of the rows whose
/// covariance has the least determinant, which outliers cannot move (Rousseeuw and Van Driessen,
/// A fast algorithm for the minimum covariance determinant estimator, 1999). In units in which
/// normal rows have the median of a chi-square distribution. Needs more than two rows a column and
/// at most 200 columns.
std::vector<double> mahalanobis_scores(std::span<const float> x, int64_t columns,
                                       uint64_t seed = 0);

/// The squared error with which a narrow network gives a row back after it has learned all of them,
/// the worst tenth left out in the second half (Hawkins et al. 2002).
std::vector<double> autoencoder_scores(std::span<const float> x, int64_t columns,
                                       uint64_t seed = 0);

/// Where the level of a signal jumps: the number of the first sample after each jump, ascending.
/// Maxima of the Haar wavelet transform that persist from coarse to fine scales (Mallat and Hwang
/// 1992); a jump is found where it is `threshold` times its standard error at the coarsest scale,
/// 16 samples.
std::vector<int64_t> find_jumps(std::span<const double> signal, double threshold = 5);

/// Samples whose label is probably wrong, the surest first: another class is likelier than samples
/// with that label find it on average, and likelier than their own (confident learning, Northcutt
/// et al. 2021). probabilities: [samples, classes], of models that did not see the sample.
std::vector<int64_t> label_suspects(std::span<const int64_t> labels,
                                    std::span<const float> probabilities, int64_t classes);

/// Columns of rows whose mean differs between classes (or that go with the values) by more than
/// chance: F tests, with at most a share `q` of false discoveries (Benjamini and Hochberg 1995).
/// What matters only together with other columns is not found. `targets` are class numbers or
/// values. If nothing is found: the one column with the least p.
std::vector<int64_t> select_columns(std::span<const float> x, int64_t columns,
                                    std::span<const float> targets, bool classes, double q = 0.05);

/// The same for the features of a data set of rows.
std::vector<int64_t> select_columns(const Dataset& dataset, double q = 0.05);

/// As the step "columns([...])" of a Transform. Fit it to the training part only.
std::string fit_columns(const Dataset& dataset, double q = 0.05);

}  // namespace nacre
