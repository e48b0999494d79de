// From labelled data to a good model within a time budget: what `nacre fit` does.
//
//   FitOptions o;
//   o.data = "photos.zip"; o.out = "runs/photos/model.safetensors"; o.budget = 600;
//   const FitResult r = fit(o);
//   std::cout << r.test.report.accuracy << "\n";    // on samples that the search never saw
//
// Beside the model: report.html, study.db (every trial, see nacre/study.h) and trials/ (models and
// predictions of trials). The model is there from the first trial on and gets better; a killed fit
// goes on with `resume` and loses no trial that was finished.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nacre/data.h"
#include "nacre/study.h"
#include "nacre/train.h"

namespace nacre {

struct FitOptions {
  std::string data;           ///< whatever open_dataset recognises
  std::string target;         ///< of a table: column to predict; empty: as CsvOptions says
  std::string task = "auto";  ///< of a table: classes or values
  std::string out = "model.safetensors";  ///< the model; other files go beside it
  /// Seconds of wall clock for all; 0 with `resume`: as it was begun.
  double budget = 600;
  /// Trials to run in all. 0: as many as the budget allows. Otherwise no choice depends on the
  /// clock, so that the same seed gives the same model, and the budget only ends the search early.
  int64_t trials = 0;
  uint64_t size_limit = 0;    ///< bytes of the model file; 0: none
  double latency_limit = 0;   ///< seconds for one sample; 0: none
  uint64_t memory_limit = 0;  ///< bytes; 0: four fifths of what is free
  std::string from;           ///< model file whose weights are tried as a start (pictures)
  std::string slice;          ///< of a table: column by whose values the result is shown too
  /// Of a table: outer parts of a nested cross-validation, which takes up to half of the budget and
  /// chooses the family of models that is then searched; 0: all families are.
  int64_t nested = 0;
  /// Models of different structure, at most a hundredth (accuracy, R2) below the best, that are
  /// written to models/ too, and as one ensemble, models/ensemble.safetensors; 0: none.
  int64_t keep = 0;
  int64_t seed = 0;
  std::string study;  ///< as the place of a Study; empty: study.db beside the model
  /// Go on with what `out` and `study` hold. Target, task, seed, trials and limits that are not
  /// set are those that it was begun with.
  bool resume = false;
  /// Throws Error(usage) for a value outside its range.
  void check() const;
};

/// What is known before the search starts.
struct FitPlan {
  std::string task;  ///< "pictures of 10 classes", "rows with a value to predict"
  bool regression = false;
  int64_t train = 0, held_out = 0, test = 0;  ///< samples; held_out is 0 with folds
  int64_t folds = 1;                          ///< of cross-validation; 1: held-out samples
  std::vector<Finding> findings;
  std::string first;         ///< the model that was measured
  double trial_seconds = 0;  ///< that a trial of it will take
  int64_t trials = 0;        ///< about so many in the budget
  double seconds = 0;        ///< at most
  size_t bytes = 0;          ///< of memory, predicted for the largest network of the search
  size_t limit = 0;          ///< of memory
};

/// A trial as the leaderboard shows it.
struct FitTrial {
  int64_t number = 0;
  Trial::State state = Trial::State::done;
  std::string label;     ///< "boosted trees", or "search" for points that were drawn
  std::string model;     ///< zoo name
  std::string settings;  ///< the point
  double value = 0;      ///< what is minimised
  double score = 0;      ///< accuracy, or minus the RMSE, on held-out samples
  double loss = 0;
  double seconds = 0, latency = 0;
  double predicting = 0;  ///< seconds for a sample, many at once
  int64_t epochs = 0;
  int64_t rounds = 0;  ///< of trees that there was time for; 0: for all that were wanted
  uint64_t bytes = 0;  ///< of the model
  double weight = 0;   ///< in the result; 0: not part of it
  double part = 1;     ///< of the samples to learn from that it used, for want of time
  std::string note;    ///< why it failed or ended early
};

/// A family of models, judged by nested cross-validation. Scores are accuracy or minus the RMSE.
struct FamilyScore {
  std::string family;  ///< zoo name
  double inner = 0;    ///< of its best settings on inner parts, the mean over the outer parts
  double outer = 0;    ///< of those settings on the outer parts
  int64_t chosen = 0;  ///< outer parts in which it was the best on the inner parts
};

struct NestedResult {
  std::vector<FamilyScore> families;  ///< the most often chosen first
  std::string chosen;                 ///< the first of them
  /// Of what was chosen in each outer part: what the inner parts promised, what the outer one held.
  double inner = 0, outer = 0;
  int64_t parts = 0;     ///< outer parts that were judged; 0: the time was up before
  bool stopped = false;  ///< by request
};

/// See FitOptions::keep.
struct KeptModel {
  int64_t trial = 0;
  std::string structure;  ///< "mlp hidden=64"; of the ensemble: "ensemble"
  std::string file;
  double score = 0;  ///< accuracy or minus the RMSE on held-out samples; 0 of the ensemble
  double test = 0;   ///< the same on the test part
};

struct FitResult {
  bool stopped = false;  ///< by request; nothing below but leaderboard and seconds is set then
  FitPlan plan;
  std::vector<FitTrial> leaderboard;  ///< best first, then those without a result
  NestedResult nested;                ///< without parts unless FitOptions::nested
  Evaluation test;
  std::string part = "test";          ///< what `test` was measured on
  std::string model, report;          ///< files
  std::vector<KeptModel> kept;        ///< the ensemble of them is the last
  std::vector<std::string> commands;  ///< that train the winner again
  double seconds = 0;
};

struct FitCallbacks {
  std::function<void(const FitPlan&)> on_plan;
  std::function<void(const NestedResult&)> on_nested;
  /// After each trial; `best` says whether it leads now.
  std::function<void(const FitTrial&, bool best)> on_trial;
  /// Something is begun that takes a while: "trains the best longer".
  std::function<void(const std::string&)> on_stage;
};

/// Throws Error(data) for data that nothing can be learned from, Error(usage) for settings that
/// cannot be meant, Error(memory) if not one trial fits.
FitResult fit(const FitOptions& options, const FitCallbacks& callbacks = {});

/// Nested cross-validation: in each outer part of the rows, families of models with some settings
/// each are compared by inner parts of the other rows, and what was chosen is judged on the part,
/// which no choice has seen (Stone 1974; Cawley and Talbot, JMLR 2010).
struct NestedOptions {
  int64_t outer = 5, inner = 3;  ///< parts
  int64_t settings = 3;          ///< of each family: usual ones first, then others
  double seconds = 0;            ///< of wall clock, after which the outer part at work counts not
  uint64_t seed = 0;
  /// Throws Error(usage) for a value outside its range.
  void check() const;
};

/// Throws Error(data) for samples that are neither rows nor texts.
NestedResult nested_choice(const DatasetPtr& rows, const NestedOptions& options = {});

/// Works for a fit that another process began, until that has all its trials.
/// Returns the number of trials that were run here.
int64_t join_fit(const std::string& study, const FitCallbacks& callbacks = {});

/// Bytes that a training step of a model takes, from a compiled plan of it; nothing is run.
size_t predicted_bytes(Module& net, const Shape& batch, bool regression);

}  // namespace nacre
