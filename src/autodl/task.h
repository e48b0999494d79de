// What is to be learned: the data of a fit, divided and looked at.
#pragma once

#include "nacre/autodl.h"

namespace nacre {

struct FitTask {
  enum class Kind { pictures, rows };
  FitOptions options;
  Kind kind = Kind::rows;
  bool regression = false;
  DatasetPtr pool;                         ///< all that may be learned from
  DatasetPtr train;                        ///< the pool without `val`
  DatasetPtr val;                          ///< held out for choices; null with folds
  DatasetPtr test;                         ///< never looked at before the end
  bool own_test = false, own_val = false;  ///< the data came with these parts
  std::vector<Indices> folds;              ///< of the pool; empty: val is held out
  double val_share = 0;
  double part = 1;          ///< of each training part that is learned from; see learned()
  bool unreadable = false;  ///< some samples are left out
  std::vector<Finding> findings;
  int64_t features = 0;  ///< numbers in a row, those made of texts included
  bool texts = false;    ///< rows have free text
  int64_t useless = 0;   ///< columns that do not go with the target, by select_columns
  // of pictures, and of clips of sound, which are taken as pictures of their spectrum
  bool clips = false;
  int64_t side_width = 0, side_height = 0, channels = 0;
  std::string head;                      ///< steps of the transform up to the size of the pictures
  double mean = 0, std = 1, detail = 1;  ///< of pixels; deviation after detail(2)
  std::string from_model, from_options;  ///< of options.from
  int64_t from_width = 0, from_height = 0;  ///< of the pictures that it takes

  bool pictures() const { return kind == Kind::pictures; }
  int64_t classes() const { return static_cast<int64_t>(pool->classes().size()); }
  /// Samples that choices are measured on, in the order of their predictions.
  const DatasetPtr& judged() const { return folds.empty() ? val : pool; }
  /// Settings that every trial shares: data, seed, parts.
  TrainConfig base() const;
};

FitTask make_task(const FitOptions& options);

/// A trial's transform as it is for whoever has clips: those of the pool are pictures already, and
/// the trials' log_mel lets them pass.
std::string for_clips(std::string transform);

/// All rows as the pool, without parts. Throws Error(data) for samples that are no rows or texts.
FitTask task_of_rows(const DatasetPtr& rows);

/// The samples that are learned from: all of `data`, or for part < 1 samples spread evenly over it,
/// of each class alike.
DatasetPtr learned(const FitTask& task, const DatasetPtr& data);

/// Findings that need the parts: columns that give the target away, samples of the test part that
/// are in the pool too.
void look_for_leaks(const FitTask& task, std::vector<Finding>& findings);

/// What is minimised: the share of mistakes, with a tenth of the log loss in units of what guessing
/// has; or the RMSE in units of the target's deviation.
double objective(const FitTask& task, const std::vector<float>& scores);
/// The same for classes, from accuracy and log loss.
double blame(const FitTask& task, double accuracy, double log_loss);
/// Accuracy, or minus the RMSE.
double score_of(const FitTask& task, const std::vector<float>& scores);
double loss_of_scores(const FitTask& task, const std::vector<float>& scores);

/// What the machine has left for this process, in bytes.
size_t free_memory();

}  // namespace nacre
