// How fast a model runs: throughput, latency, memory, and what each kernel takes of it.
//
//   auto net = make_model("lenet5", "", Scope::init(Key(0)));
//   BenchResult r = bench(*net, {1, 1, 32, 32});
//   std::cout << r.milliseconds(0.99);                    // 99 of 100 runs take no longer
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

struct BenchOptions {
  bool train = false;  ///< a step of training: forward, backward, SGD with momentum
  double seconds = 2;  ///< measures for about so long, and at least `least_runs` runs
  int64_t least_runs = 5;
  DType input = DType::f32;  ///< type of the random input; whole numbers are 0 or 1
};

/// The calls of one kernel for one layer.
struct BenchLine {
  std::string layer;        ///< path of the module; "" outside of all
  std::string work;         ///< op and shapes of its operands
  std::string kernel;       ///< what ran it
  double calls = 0;         ///< in one run
  double milliseconds = 0;  ///< in one run
  double gflops = 0;        ///< 1e9 operations a second, two a multiply-accumulate; 0: none counted
  double gbytes = 0;        ///< 1e9 bytes of operands a second
};

struct BenchResult {
  Shape input;
  bool train = false;
  int threads = 0;
  std::vector<double> runs;  ///< milliseconds of each, ascending
  double first = 0;          ///< milliseconds of the first run, with its compilation
  double first_at = 0;       ///< when it ended: seconds of the system's monotonic clock
  int64_t macs = 0;          ///< multiply-accumulates of one run
  size_t peak_bytes = 0;  ///< of tensors and work space while running, without the parameters' own
  /// Of all memory of the process when the runs ended, programs and libraries included; 0 where the
  /// system does not say.
  size_t process_peak_bytes = 0;
  double peak_gflops = 0, peak_gbytes = 0;  ///< what this machine reaches, measured
  std::vector<BenchLine> lines;             ///< longest first
  /// What a model was given: "input", and in training "labels" (none where the loss needs none).
  std::vector<std::pair<std::string, Tensor>> given;
  /// Numbers of the first run's first result; where that is a single one (a loss) of the first
  /// three runs.
  std::vector<double> values;

  /// The run below which this share of all runs lies; 0.5 is the median.
  double milliseconds(double share) const;
  /// 0 where no model was measured.
  double samples_per_second() const;
  /// 1e9 operations a second, and its share of peak_gflops.
  double gflops() const;
  double share_of_peak() const { return peak_gflops > 0 ? gflops() / peak_gflops : 0; }
};

/// Runs a model on random numbers of this shape (with batch). Training uses cross-entropy with
/// labels of chance where the model gives class scores [batch, classes], else the mean square.
/// Throws what the model throws, and Error(cancelled) when a stop is requested.
BenchResult bench(Module& net, const Shape& input, const BenchOptions& options = {});

/// Measures any computation; what `run` returns is evaluated. `train` of the options is only noted.
BenchResult bench(const std::function<Tensors()>& run, const BenchOptions& options = {});

/// One self-contained HTML page: a roofline picture and a table of kernels for each result.
std::string bench_page(const std::vector<std::pair<std::string, BenchResult>>& results);

}  // namespace nacre
