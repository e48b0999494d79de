// One trial: a model trained with given settings, and how good it is on samples it did not see.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "autodl/task.h"

namespace nacre {

/// Seconds on a clock that only goes forward.
double steady_seconds();

/// Calls a function, from a thread of its own, when a time has come.
class Timer {
 public:
  Timer(double at, std::function<void()> then);
  ~Timer() { end(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  /// From now on nothing is called.
  void end();
  bool rang() const { return rang_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::atomic<bool> rang_ = false;
  std::thread thread_;
};

/// Ends training, and fits that look at stop_requested(), when a time has come. Tells a stop of its
/// own from one that the user asked for.
class Alarm {
 public:
  explicit Alarm(double at);
  ~Alarm();
  bool rang() const { return timer_.rang(); }

 private:
  Timer timer_;
};

struct TrialLimits {
  double deadline = 0;  ///< steady_seconds() at which the trial has to be over
  uint64_t size = 0, memory = 0;
  double latency = 0;
  /// Of parts 1, 2, 4 of 4 of the work (folds or epochs): true ends the trial.
  std::function<bool(int64_t part, double value)> report;
  std::string save;  ///< model file to write; with folds that of the first
};

/// The reason of a trial that was late.
inline constexpr const char* kLate = "the time was up";

struct TrialOutcome {
  enum class End { done, pruned, failed, late, stopped };
  End end = End::done;
  std::string reason;
  std::vector<float> scores;  ///< of task.judged()
  double value = 0, score = 0, loss = 0, seconds = 0, latency = 0;
  int64_t epochs = 0;
  int64_t rounds = 0;  ///< of trees, where there was no time for all; else 0
  uint64_t bytes = 0;
  double predicting = 0;  ///< seconds for a sample, many at once
  bool cut = false;       ///< fewer epochs than wanted, for want of time
};

TrialOutcome run_trial(const FitTask& task, const TrainConfig& config, const TrialLimits& limits);

/// Trains on all of `train` and evaluates on `test`. Null if it was stopped or the time was up.
/// Trees end in time with what they have; `config` then has that number of rounds or trees.
std::unique_ptr<Trainer> train_on(const DatasetPtr& train, const DatasetPtr& test,
                                  TrainConfig& config, double deadline,
                                  Evaluation* result = nullptr);

/// Seconds that the model takes for one sample, the median of a few runs.
double latency_of(Module& net, const Shape& input);

uint64_t model_bytes(const Module& net);

}  // namespace nacre
