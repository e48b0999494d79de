#include "nacre/bench.h"

#include <algorithm>
#include <chrono>
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
  Workload(Module& net, const Shape& input, bool train)
      : net_(net), x_(normal(input, Key(1))), train_(train) {
    eval(x_);
    if (!train) program_.emplace(Program::of(net, input));
    if (train) optimizer_.emplace(net.trainable(), SGD::Options{1e-3, 0.9, 0, false});
  }

  /// Of work space that no statistic counts.
  size_t bytes() const { return program_ ? program_->work_bytes() : 0; }

  void operator()() {
    if (!train_) {
      (*program_)({x_});
      return;
    }
    Context ctx = Context::train(Key(2));
    const Tensor y = net_(x_, ctx);
    const Tensor loss = loss_of(y);
    optimizer_->step(grad(loss, values(net_.trainable())));
    ctx.commit();
    State* states[] = {net_.state().get(), optimizer_->state().get()};
    State::commit(states, {loss});
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

template <typename F>
double milliseconds_of(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

double BenchResult::milliseconds(double share) const {
  if (runs.empty()) return 0;
  const double at = share * static_cast<double>(runs.size());
  return runs[std::min(runs.size() - 1, static_cast<size_t>(std::max(0.0, at)))];
}

double BenchResult::samples_per_second() const {
  return static_cast<double>(input[0]) * 1000 / milliseconds(0.5);
}

double BenchResult::gflops() const { return 2e-6 * static_cast<double>(macs) / milliseconds(0.5); }

BenchResult bench(Module& net, const Shape& input, const BenchOptions& options) {
  BenchResult r;
  r.input = input;
  r.train = options.train;
  r.threads = num_threads();
  const cpu::Peak& peak = cpu::measured_peak();
  r.peak_gflops = peak.gflops;
  r.peak_gbytes = peak.gbytes;

  trim_memory();
  const size_t arenas = plan_stats().arena_bytes;
  reset_peak_memory();
  const size_t before = memory_stats().live;
  std::optional<Workload> made;
  r.first = milliseconds_of([&] {
    made.emplace(net, input, options.train);
    (*made)();
  });
  Workload& work = *made;
  // The second run still differs from the first: there is momentum, weights are kept packed.
  for (int i = 0; i < 2; ++i) work();
  double spent = 0;
  while (spent < options.seconds * 1000 ||
         r.runs.size() < static_cast<size_t>(options.least_runs)) {
    check_stop();
    r.runs.push_back(milliseconds_of(work));
    spent += r.runs.back();
  }
  std::sort(r.runs.begin(), r.runs.end());
  r.peak_bytes = memory_stats().peak - before + plan_stats().arena_bytes - arenas + work.bytes();

  // The median of some runs: other programs disturb single ones.
  constexpr size_t kProfiled = 5;
  struct Times {
    ProfileLine line;
    std::vector<double> milliseconds;  // in each run
  };
  std::map<std::tuple<std::string, std::string, std::string>, Times> times;
  for (size_t i = 0; i < kProfiled; ++i) {
    set_profiling(true);
    work();
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
  return r;
}

}  // namespace nacre
