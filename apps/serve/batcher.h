// Requests to one model, run together: a queue with bounds and one thread that empties it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "nacre/predict.h"
#include "serve/metrics.h"

namespace nacre::serve {

struct BatchOptions {
  int64_t rows = 32;                           ///< that run together at most
  std::chrono::microseconds wait{0};           ///< for others, from the arrival of the first
  size_t queue = 256;                          ///< requests that may wait
  std::chrono::milliseconds patience{30'000};  ///< in the queue; 0: any
};

struct BatchResult {
  Outcome outcome = Outcome::success;
  Tensors outputs;
  std::string error;
  double queue_seconds = 0, compute_seconds = 0;
};

class Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  struct Job {
    Tensors inputs;  ///< checked (Predictor::check) and evaluated
    int64_t rows = 1;
    std::function<bool()> cancelled;        ///< asked just before the run
    std::function<void(BatchResult)> done;  ///< on the batcher's thread; exactly once
    Clock::time_point arrived = Clock::now();
  };

  Batcher(const Predictor& model, BatchOptions options, std::shared_ptr<ModelMetrics> metrics);
  /// Runs what is queued, then ends. Not on the batcher's own thread.
  ~Batcher();

  /// False, and the job is left as it was, if the queue is full. It may wait for wake().
  bool submit(Job& job);
  /// Begins with what was submitted, if nothing runs.
  void wake() { wake_.notify_one(); }
  /// Whether a job would be taken now.
  bool full() const;
  /// Whether the last run had the memory that it needed.
  bool healthy() const { return healthy_; }

 private:
  void work();
  void run(std::vector<Job> jobs);
  void finish(Job& job, BatchResult result);

  const Predictor& model_;
  const BatchOptions options_;
  const std::shared_ptr<ModelMetrics> metrics_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  bool ending_ = false;
  std::atomic<bool> healthy_{true};
  std::thread thread_;
};

}  // namespace nacre::serve
