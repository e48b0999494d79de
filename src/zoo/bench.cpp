#include "nacre/bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>

#include "backends/cpu/simd/peak.h"
#include "base/parallel.h"
#include "base/signals.h"
#include "graph/storage.h"
#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/program.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

/// What is measured: one call is one run.
class Workload {
 public:
  Workload(Module& net, const Shape& input, DType dtype, bool train)
      : net_(net), x_(normal(input, Key(1))), train_(train) {
    if (!is_float(dtype)) x_ = x_ > 0.0;
    x_ = cast(x_, dtype);
    eval(x_);
    if (!train) program_.emplace(Program::of(net, input, dtype));
    if (train) optimizer_.emplace(net.trainable(), SGD::Options{1e-3, 0.9, 0, false});
  }

  /// Of work space that no statistic counts.
  size_t bytes() const { return program_ ? program_->work_bytes() : 0; }

  std::vector<std::pair<std::string, Tensor>> given() const {
    std::vector<std::pair<std::string, Tensor>> list{{"input", x_}};
    if (labels_.defined()) list.emplace_back("labels", labels_);
    return list;
  }

  Tensors operator()() {
    if (!train_) return (*program_)({x_});
    Context ctx = Context::train(Key(2));
    const Tensor y = net_(x_, ctx);
    const Tensor loss = loss_of(y);
    optimizer_->step(grad(loss, values(net_.trainable())));
    ctx.commit();
    State* states[] = {net_.state().get(), optimizer_->state().get()};
    State::commit(states, {loss});
    return {loss};
  }

 private:
  Tensor loss_of(const Tensor& y) {
    if (y.rank() != 2 || y.size(1) < 2) return mean(square(y));
    if (!labels_.defined()) {
      labels_ = randint({y.size(0)}, Key(3), 0, y.size(1));
      eval(labels_);
    }
    return cross_entropy(y, labels_);
  }

  Module& net_;
  Tensor x_, labels_;
  bool train_;
  std::optional<SGD> optimizer_;
  std::optional<Program> program_;
};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The most memory that the process has had.
size_t process_peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (size_t kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024;
  return 0;
}

/// `work_bytes` are those of work space that no statistic counts.
BenchResult measure(const std::function<Tensors()>& run, const std::function<size_t()>& work_bytes,
                    const BenchOptions& options) {
  BenchResult r;
  r.train = options.train;
  r.threads = num_threads();
  trim_memory();
  const size_t arenas = plan_stats().arena_bytes;
  reset_peak_memory();
  const size_t before = memory_stats().live;
  const auto timed_run = [&](bool keep) {
    const double start = seconds_now();
    Tensors results = run();
    eval(results);
    const double end = seconds_now();
    if (keep && !results.empty() && (r.values.empty() || results[0].numel() == 1))
      for (const double v : results[0].to_vector<double>()) r.values.push_back(v);
    if (r.first_at == 0) r.first_at = end;
    return (end - start) * 1000;
  };
  r.first = timed_run(true);
  // The second run still differs from the first: weights are kept packed.
  for (int i = 0; i < 2; ++i) timed_run(true);
  double spent = 0;
  while (spent < options.seconds * 1000 ||
         r.runs.size() < static_cast<size_t>(options.least_runs)) {
    check_stop();
    r.runs.push_back(timed_run(false));
    spent += r.runs.back();
  }
  std::sort(r.runs.begin(), r.runs.end());
  r.peak_bytes = memory_stats().peak - before + plan_stats().arena_bytes - arenas + work_bytes();
  r.process_peak_bytes = process_peak();

  // The median of some runs, as far as there is time: other programs disturb single ones.
  constexpr size_t kProfiled = 5;
  struct Times {
    ProfileLine line;
    std::vector<double> milliseconds;  // in each run
  };
  std::map<std::tuple<std::string, std::string, std::string>, Times> times;
  const double until = seconds_now() + options.seconds;
  for (size_t i = 0; i < kProfiled && (i == 0 || seconds_now() < until); ++i) {
    set_profiling(true);
    eval(run());
    for (const ProfileLine& l : profile()) {
      Times& t = times.try_emplace({l.layer, l.label, l.kernel}, Times{l, {}}).first->second;
      t.milliseconds.push_back(l.microseconds / 1000);
    }
    set_profiling(false);
  }
  for (auto& [name, t] : times) {
    std::sort(t.milliseconds.begin(), t.milliseconds.end());
    const ProfileLine& l = t.line;
    const double ms = t.milliseconds[t.milliseconds.size() / 2],
                 calls = static_cast<double>(l.calls),
                 rate = ms > 0 ? calls * 1e-6 / ms : 0;  // 1e9 calls a second
    r.lines.push_back({l.layer, l.label, l.kernel, calls, ms,
                       2 * static_cast<double>(l.macs) * rate,
                       static_cast<double>(l.bytes) * rate});
    r.macs += l.macs * static_cast<int64_t>(l.calls);
  }
  std::sort(r.lines.begin(), r.lines.end(),
            [](const auto& a, const auto& b) { return a.milliseconds > b.milliseconds; });
  // Last: this takes memory of its own.
  const cpu::Peak& peak = cpu::measured_peak();
  r.peak_gflops = peak.gflops;
  r.peak_gbytes = peak.gbytes;
  return r;
}

}  // namespace

double BenchResult::milliseconds(double share) const {
  if (runs.empty()) return 0;
  const double at = share * static_cast<double>(runs.size());
  return runs[std::min(runs.size() - 1, static_cast<size_t>(std::max(0.0, at)))];
}

double BenchResult::samples_per_second() const {
  return input.empty() ? 0 : static_cast<double>(input[0]) * 1000 / milliseconds(0.5);
}

double BenchResult::gflops() const { return 2e-6 * static_cast<double>(macs) / milliseconds(0.5); }

BenchResult bench(const std::function<Tensors()>& run, const BenchOptions& options) {
  return measure(
      run, [] { return size_t{0}; }, options);
}

BenchResult bench(Module& net, const Shape& input, const BenchOptions& options) {
  std::optional<Workload> work;  // the first run has its making in it
  BenchResult r = measure(
      [&] {
        if (!work) work.emplace(net, input, options.input, options.train);
        return (*work)();
      },
      [&] { return work->bytes(); }, options);
  r.input = input;
  r.given = work->given();
  return r;
}

}  // namespace nacre
