#include "nacre/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nacre/error.h"

namespace nacre {
namespace {

void check_lengths(const char* name, size_t a, size_t b) {
  if (a != b)
    fail(Error::Kind::usage,
         {"[", name, "] ", a, " labels or targets do not fit ", b, " predictions"});
  if (a == 0) fail(Error::Kind::usage, {"[", name, "] there are no samples"});
}

void check_labels(const char* name, std::span<const int64_t> labels, int64_t classes) {
  for (int64_t label : labels)
    if (label < 0 || label >= classes)
      fail(Error::Kind::usage, {"[", name, "] label ", label, " is not in 0..", classes - 1});
}

void check_table(const char* name, std::span<const int64_t> labels, std::span<const float> table,
                 int64_t classes) {
  if (classes < 1) fail(Error::Kind::usage, {"[", name, "] ", classes, " classes"});
  if (labels.size() * static_cast<size_t>(classes) != table.size())
    fail(Error::Kind::usage, {"[", name, "] ", labels.size(), " labels of ", classes,
                              " classes do not fit ", table.size(), " scores"});
  if (labels.empty()) fail(Error::Kind::usage, {"[", name, "] there are no samples"});
  check_labels(name, labels, classes);
}

std::span<const float> row_of(std::span<const float> table, size_t i, int64_t classes) {
  return table.subspan(i * static_cast<size_t>(classes), static_cast<size_t>(classes));
}

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

size_t argmax(std::span<const float> row) {
  size_t best = 0;
  for (size_t c = 1; c < row.size(); ++c)
    if (row[c] > row[best] || (std::isnan(row[best]) && !std::isnan(row[c]))) best = c;
  return best;
}

}  // namespace

std::vector<int64_t> argmax_rows(std::span<const float> scores, int64_t classes) {
  if (classes < 1 || scores.size() % static_cast<size_t>(classes) != 0)
    fail(Error::Kind::usage,
         {"[argmax_rows] ", scores.size(), " scores are not rows of ", classes, " classes"});
  std::vector<int64_t> out(scores.size() / static_cast<size_t>(classes));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<int64_t>(argmax(row_of(scores, i, classes)));
  return out;
}

double accuracy(std::span<const int64_t> labels, std::span<const int64_t> predicted) {
  check_lengths("accuracy", labels.size(), predicted.size());
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += labels[i] == predicted[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double top_k_accuracy(std::span<const int64_t> labels, std::span<const float> scores,
                      int64_t classes, int64_t k) {
  check_table("top_k_accuracy", labels, scores, classes);
  if (k < 1) fail(Error::Kind::usage, {"[top_k_accuracy] k is ", k, ", it has to be at least 1"});
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = row_of(scores, i, classes);
    const float own = row[static_cast<size_t>(labels[i])];
    // NaN of the label's own score is never a hit.
    const auto above =
        std::count_if(row.begin(), row.end(), [&](float v) { return !(v < own); }) - 1;
    right += above < k && !std::isnan(own);
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

ConfusionMatrix confusion_matrix(std::span<const int64_t> labels,
                                 std::span<const int64_t> predicted, int64_t classes) {
  check_lengths("confusion_matrix", labels.size(), predicted.size());
  constexpr int64_t kMaxClasses = 32768;
  if (classes < 1 || classes > kMaxClasses)
    fail(Error::Kind::usage,
         {"[confusion_matrix] ", classes, " classes, 1 to ", kMaxClasses, " are possible"});
  check_labels("confusion_matrix", labels, classes);
  check_labels("confusion_matrix", predicted, classes);
  ConfusionMatrix m{classes, std::vector<int64_t>(static_cast<size_t>(classes * classes))};
  for (size_t i = 0; i < labels.size(); ++i)
    ++m.counts[static_cast<size_t>(labels[i] * classes + predicted[i])];
  return m;
}

ClassificationReport classification_report(const ConfusionMatrix& m) {
  ClassificationReport report;
  int64_t right = 0, all = 0, present = 0;
  for (int64_t c = 0; c < m.classes; ++c) {
    int64_t row = 0, column = 0;
    for (int64_t o = 0; o < m.classes; ++o) row += m.at(c, o), column += m.at(o, c);
    const auto hit = static_cast<double>(m.at(c, c));
    ClassScore s;
    s.precision = ratio(hit, static_cast<double>(column));
    s.recall = ratio(hit, static_cast<double>(row));
    s.f1 = ratio(2 * hit, static_cast<double>(row + column));
    s.support = row;
    report.classes.push_back(s);
    right += m.at(c, c);
    all += row;
    present += row + column > 0;
  }
  for (const ClassScore& s : report.classes) {
    const double plain = ratio(1, static_cast<double>(present));
    const double share = ratio(static_cast<double>(s.support), static_cast<double>(all));
    for (auto [sum, weight] : {std::pair{&report.macro, plain}, {&report.weighted, share}}) {
      sum->precision += weight * s.precision;
      sum->recall += weight * s.recall;
      sum->f1 += weight * s.f1;
      sum->support = all;
    }
  }
  report.accuracy = ratio(static_cast<double>(right), static_cast<double>(all));
  return report;
}

double roc_auc(std::span<const int64_t> labels, std::span<const float> scores) {
  check_lengths("roc_auc", labels.size(), scores.size());
  check_labels("roc_auc", labels, 2);
  if (std::any_of(scores.begin(), scores.end(), [](float s) { return std::isnan(s); }))
    fail(Error::Kind::usage, {"[roc_auc] a score is NaN"});
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  // Mann-Whitney: the mean rank of the positives, ties sharing theirs.
  double rank_sum = 0;
  int64_t positives = 0;
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    int64_t here = 0;
    for (; j < order.size() && scores[order[j]] == scores[order[i]]; ++j) here += labels[order[j]];
    rank_sum += static_cast<double>(here) * (static_cast<double>(i + j + 1) / 2);
    positives += here;
    i = j;
  }
  const auto p = static_cast<double>(positives), n = static_cast<double>(labels.size()) - p;
  if (p == 0 || n == 0)
    fail(Error::Kind::usage, {"[roc_auc] all ", labels.size(), " labels are ", p == 0 ? 0 : 1,
                              "; both 0 and 1 are needed"});
  return (rank_sum - p * (p + 1) / 2) / (p * n);
}

double roc_auc_one_vs_rest(std::span<const int64_t> labels, std::span<const float> scores,
                           int64_t classes) {
  check_table("roc_auc_one_vs_rest", labels, scores, classes);
  std::vector<int64_t> is_class(labels.size());
  std::vector<float> column(labels.size());
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) {
    for (size_t i = 0; i < labels.size(); ++i) {
      is_class[i] = labels[i] == c;
      column[i] = row_of(scores, i, classes)[static_cast<size_t>(c)];
    }
    sum += roc_auc(is_class, column);
  }
  return sum / static_cast<double>(classes);
}

double log_loss(std::span<const int64_t> labels, std::span<const float> probabilities,
                int64_t classes) {
  check_table("log_loss", labels, probabilities, classes);
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double p = row_of(probabilities, i, classes)[static_cast<size_t>(labels[i])];
    sum -= std::isnan(p) ? p : std::log(std::clamp(p, 0x1p-52, 1.0));
  }
  return sum / static_cast<double>(labels.size());
}

double brier_score(std::span<const int64_t> labels, std::span<const float> probabilities,
                   int64_t classes) {
  check_table("brier_score", labels, probabilities, classes);
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = row_of(probabilities, i, classes);
    for (size_t c = 0; c < row.size(); ++c) {
      const double off = double{row[c]} - (labels[i] == static_cast<int64_t>(c) ? 1.0 : 0.0);
      sum += off * off;
    }
  }
  return sum / static_cast<double>(labels.size());
}

Calibration calibration(std::span<const int64_t> labels, std::span<const float> probabilities,
                        int64_t classes, int64_t bins) {
  check_table("calibration", labels, probabilities, classes);
  if (bins < 1 || bins > 10000)
    fail(Error::Kind::usage, {"[calibration] ", bins, " bins, 1 to 10000 are possible"});
  Calibration result;
  result.bins.resize(static_cast<size_t>(bins));
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = row_of(probabilities, i, classes);
    const size_t best = argmax(row);
    const double confidence = row[best];
    if (!(confidence >= 0 && confidence <= 1 + 1e-4))
      fail(Error::Kind::usage, {"[calibration] ", confidence, " is not a probability"});
    // Bin b holds (b / bins, (b + 1) / bins].
    const auto bin = static_cast<int64_t>(std::ceil(confidence * static_cast<double>(bins))) - 1;
    auto& b = result.bins[static_cast<size_t>(std::clamp<int64_t>(bin, 0, bins - 1))];
    b.confidence += confidence;
    b.accuracy += labels[i] == static_cast<int64_t>(best);
    ++b.count;
  }
  for (auto& b : result.bins) {
    if (b.count == 0) continue;
    b.confidence /= static_cast<double>(b.count);
    b.accuracy /= static_cast<double>(b.count);
    const double gap = std::abs(b.accuracy - b.confidence);
    result.expected_error +=
        gap * static_cast<double>(b.count) / static_cast<double>(labels.size());
    result.maximum_error = std::max(result.maximum_error, gap);
  }
  return result;
}

double expected_calibration_error(std::span<const int64_t> labels,
                                  std::span<const float> probabilities, int64_t classes,
                                  int64_t bins) {
  return calibration(labels, probabilities, classes, bins).expected_error;
}

double mean_squared_error(std::span<const float> targets, std::span<const float> predicted) {
  check_lengths("mean_squared_error", targets.size(), predicted.size());
  double sum = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const double off = double{targets[i]} - predicted[i];
    sum += off * off;
  }
  return sum / static_cast<double>(targets.size());
}

double mean_absolute_error(std::span<const float> targets, std::span<const float> predicted) {
  check_lengths("mean_absolute_error", targets.size(), predicted.size());
  double sum = 0;
  for (size_t i = 0; i < targets.size(); ++i) sum += std::abs(double{targets[i]} - predicted[i]);
  return sum / static_cast<double>(targets.size());
}

double r2_score(std::span<const float> targets, std::span<const float> predicted) {
  const double error = mean_squared_error(targets, predicted);
  const double n = static_cast<double>(targets.size());
  const double mean = std::accumulate(targets.begin(), targets.end(), 0.0) / n;
  double spread = 0;
  for (float t : targets) spread += (t - mean) * (t - mean);
  spread /= n;
  if (spread == 0) return error == 0 ? 1 : 0;
  return 1 - error / spread;
}

}  // namespace nacre
