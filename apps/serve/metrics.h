// Figures of the server in the text form of Prometheus. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace nacre::serve {

/// Counts of values up to bounds, and their sum.
class Histogram {
 public:
  /// `bounds` ascending; at most 16.
  explicit Histogram(std::initializer_list<double> bounds);
  void add(double v);
  uint64_t count() const { return counts_[size_]; }
  double sum() const { return sum_; }
  void write(std::string& out, std::string_view name, const std::string& labels) const;

 private:
  size_t size_;
  std::array<double, 16> bounds_{};
  std::array<std::atomic<uint64_t>, 17> counts_{};  ///< cumulative; the last one is all
  std::atomic<double> sum_{0};
};

/// How a request to a model ended.
enum class Outcome { success, bad_request, rejected, cancelled, timeout, memory, error };
inline constexpr int kOutcomes = 7;
std::string_view name_of(Outcome o);

/// Of one model, all its versions together.
struct ModelMetrics {
  std::array<std::atomic<uint64_t>, kOutcomes> requests{};
  std::atomic<uint64_t> rows{0}, not_finite{0}, canary{0}, loads{0}, failed_loads{0};
  Histogram latency{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10};
  Histogram queue{.0001, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5};
  Histogram compute{.0001, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5};
  Histogram batch{1, 2, 4, 8, 16, 32, 64, 128};
  std::atomic<int64_t> waiting{0};  ///< requests in the queue now
  void count(Outcome o) { ++requests[static_cast<size_t>(o)]; }
};

class Metrics {
 public:
  /// The figures of a model, made at the first call. Kept after it is unloaded.
  std::shared_ptr<ModelMetrics> model(const std::string& name);
  void answered(int status) { ++status_[static_cast<size_t>(status) % 600]; }
  std::atomic<uint64_t> gone{0};  ///< clients that left before their answer
  /// All of it; `more` is text of the same form to put behind.
  std::string text(const std::string& more) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<ModelMetrics>> models_;
  std::array<std::atomic<uint64_t>, 600> status_{};
};

/// "# HELP", "# TYPE" and one value.
void write_metric(std::string& out, std::string_view name, std::string_view type,
                  std::string_view help, double value);

/// Memory, descriptors and threads of this process, from /proc.
struct ProcessFigures {
  uint64_t resident_bytes = 0, descriptors = 0, threads = 0;
};
ProcessFigures process_figures();

}  // namespace nacre::serve
