#include "autodl/trial_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "autodl/recipes.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"
#include "nacre/program.h"
#include "train/setup.h"

namespace nacre {
namespace {

constexpr int64_t kManyRows = 1000;
constexpr double kGrowing = 0.5;  // of the time of trees; then they are read and judged

/// Trials show no bars and give no advice of their own.
class Quiet {
 public:
  Quiet() : before_(progress_mode()), level_(log_level()) {
    set_progress_mode(Progress::Mode::quiet);
    if (level_ != LogLevel::debug) set_log_level(LogLevel::error);
  }
  ~Quiet() {
    set_progress_mode(before_);
    set_log_level(level_);
  }

 private:
  Progress::Mode before_;
  LogLevel level_;
};

Shape with_batch(const Shape& input, int64_t n) {
  Shape s = {n};
  for (int64_t d : input) s.push_back(d);
  return s;
}

struct Refused {
  std::string reason;
};

/// Throws Refused for a model that the limits do not allow, before it is trained.
void check_limits(Trainer& trainer, const TrainConfig& config, const FitTask& task,
                  const TrialLimits& limits) {
  Module& net = trainer.model();
  if (limits.size && model_bytes(net) > limits.size)
    throw Refused{cat({"the model would take ", format_bytes(model_bytes(net)), ", the limit is ",
                       format_bytes(limits.size)})};
  // What is fitted at once holds its rows, and as much again for sorting or products.
  const bool at_once = find_model(config.model).fit != nullptr;
  const size_t bytes =
      at_once
          ? 4 * sizeof(float) * static_cast<size_t>(task.train->size()) *
                static_cast<size_t>(trainer.info().input.numel())
          : predicted_bytes(net, with_batch(trainer.info().input, config.batch), task.regression);
  if (limits.memory && bytes > limits.memory)
    throw Refused{cat({"training would take ", format_bytes(bytes), " of memory, ",
                       format_bytes(limits.memory), " are free"})};
  if (limits.latency > 0 && !at_once) {
    const double seconds = latency_of(net, trainer.info().input);
    if (seconds > limits.latency)
      throw Refused{cat({"one sample takes ", format_number(1000 * seconds, 3),
                         " ms, the limit is ", format_number(1000 * limits.latency, 3), " ms"})};
  }
}

DataSplits parts_of(const FitTask& task, size_t fold) {
  DataSplits d;
  if (task.folds.empty()) {
    d.train = learned(task, task.train);
    d.val = task.val;
    d.test = task.val;
    return d;
  }
  Indices rest;
  for (size_t k = 0; k < task.folds.size(); ++k)
    if (k != fold) rest.insert(rest.end(), task.folds[k].begin(), task.folds[k].end());
  std::sort(rest.begin(), rest.end());
  d.train = learned(task, subset(task.pool, rest));
  d.test = subset(task.pool, task.folds[fold]);
  return d;
}

/// Trains. Models that can end with what they have by then do so `seconds` from now, or a little
/// before; the rounds or trees that they then have become those of `config`. True if so.
bool run_in_time(Trainer& trainer, double seconds, TrainConfig& config, Evaluation& result) {
  const std::string counted = counted_option(config.model);
  std::optional<Timer> enough;
  if (!counted.empty())
    enough.emplace(steady_seconds() + kGrowing * seconds, [&] { trainer.finish(); });
  result = trainer.run();
  enough.reset();
  if (counted.empty() || trainer.stopped()) return false;
  const int64_t had = option_in(trainer.info().options, counted);
  if (had >= option_in(config.options, counted)) return false;
  config.options = with_option(config.options, counted, had);
  return true;
}

/// What the task's objective is for scores of a part of its samples alone.
double value_of(const FitTask& task, const Evaluation& e) {
  if (e.regression) return std::sqrt(std::max(0.0, 1 - e.r2));
  return blame(task, e.report.accuracy, log_loss(e.labels, e.scores, task.classes()));
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Timer::Timer(double at, std::function<void()> then)
    : thread_([this, at, then = std::move(then)] {
        std::unique_lock lock(mutex_);
        const auto wait =
            std::chrono::duration<double>(std::clamp(at - steady_seconds(), 0.0, 1e8));
        if (wake_.wait_for(lock, wait, [this] { return over_; })) return;
        rang_ = true;
        then();
      }) {}

void Timer::end() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Alarm::Alarm(double at) : timer_(at, request_stop) {}

Alarm::~Alarm() {
  timer_.end();
  if (timer_.rang()) clear_stop_request();
}

double latency_of(Module& net, const Shape& input) {
  const Tensor x = zeros(with_batch(input, 1));
  eval(x);
  std::vector<double> times;
  const auto run = [&](const std::function<void()>& once) {
    once();
    const double start = steady_seconds();
    for (int i = 0; i < 30 && (i < 5 || steady_seconds() - start < 0.3); ++i) {
      const double t = steady_seconds();
      once();
      times.push_back(steady_seconds() - t);
    }
  };
  NoGrad guard;
  try {
    const Program program = Program::of(net, x.shape());
    run([&] { program({x}); });
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::unsupported) throw;
    run([&] {
      Context ctx = Context::eval();
      eval(net(x, ctx));
    });
  }
  std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

uint64_t model_bytes(const Module& net) {
  uint64_t bytes = 0;
  for (const Variable& v : net.variables())
    bytes += static_cast<uint64_t>(v.value().shape().numel()) * size_of(v.value().dtype());
  return bytes;
}

TrialOutcome run_trial(const FitTask& task, const TrainConfig& wanted, const TrialLimits& limits) {
  TrainConfig config = wanted;
  TrialOutcome out;
  const double start = steady_seconds();
  const size_t folds = std::max<size_t>(1, task.folds.size());
  const auto ended = [&](TrialOutcome::End end, std::string reason = "") {
    out.end = end;
    out.reason = std::move(reason);
    out.seconds = steady_seconds() - start;
    return out;
  };
  Quiet quiet;
  Alarm alarm(limits.deadline);
  const auto halted = [&] {
    return alarm.rang() ? ended(TrialOutcome::End::late, kLate) : ended(TrialOutcome::End::stopped);
  };
  const auto width = static_cast<size_t>(task.regression ? 1 : task.classes());
  out.scores.assign(static_cast<size_t>(task.judged()->size()) * width, 0);
  double sum = 0;
  const bool at_once = find_model(config.model).fit != nullptr;
  try {
    for (size_t fold = 0; fold < folds; ++fold) {
      bool pruned = false;
      Trainer* self = nullptr;
      int64_t told = 0;
      TrainCallbacks callbacks;
      callbacks.on_epoch = [&](const EpochInfo& i) {
        out.epochs = i.epoch + 1;
        const int64_t part = 4 * (i.epoch + 1) / config.epochs;
        if (task.folds.empty() && limits.report && (part == 1 || part == 2) && part > told) {
          told = part;
          pruned = limits.report(
              part, task.regression ? std::sqrt(i.val_loss) : blame(task, i.val_score, i.val_loss));
          if (pruned) self->stop();
        }
        // An epoch that would not come to its end in time is not begun.
        const double each = (steady_seconds() - start) / static_cast<double>(i.epoch + 1);
        if (task.folds.empty() && !at_once && i.epoch + 1 < config.epochs &&
            steady_seconds() + each > limits.deadline - 0.3 * each) {
          out.cut = true;
          self->finish();
        }
      };
      Trainer trainer(config, parts_of(task, fold), callbacks);
      self = &trainer;
      if (fold == 0) check_limits(trainer, config, task, limits);
      // Later folds make no more rounds than earlier ones had time for.
      const double share = (limits.deadline - steady_seconds()) / static_cast<double>(folds - fold);
      Evaluation e;
      if (run_in_time(trainer, share, config, e))
        out.rounds = option_in(config.options, counted_option(config.model));
      if (pruned) return ended(TrialOutcome::End::pruned, "others were better by then");
      if (trainer.stopped()) return halted();
      out.epochs = static_cast<int64_t>(trainer.history().size());
      if (task.folds.empty()) {
        out.scores = e.scores;
      } else {
        const Indices& rows = task.folds[fold];
        for (size_t i = 0; i < rows.size(); ++i)
          std::copy_n(
              e.scores.begin() + static_cast<ptrdiff_t>(i * width), width,
              out.scores.begin() + static_cast<ptrdiff_t>(rows[i]) * static_cast<ptrdiff_t>(width));
      }
      if (fold == 0) {
        out.bytes = model_bytes(trainer.model());
        if (limits.size && out.bytes > limits.size)
          return ended(TrialOutcome::End::failed,
                       cat({"the model takes ", format_bytes(out.bytes), ", the limit is ",
                            format_bytes(limits.size)}));
        if (limits.latency > 0) out.latency = latency_of(trainer.model(), trainer.info().input);
        if (limits.latency > 0 && out.latency > limits.latency)
          return ended(TrialOutcome::End::failed,
                       cat({"one sample takes ", format_number(1000 * out.latency, 3),
                            " ms, the limit is ", format_number(1000 * limits.latency, 3), " ms"}));
        if (!limits.save.empty()) {
          ModelInfo info = trainer.info();
          if (task.clips) info.transform = for_clips(info.transform);
          write_card(info, config.data, config.seed, "val", e.score());
          save_model(limits.save, trainer.model(), info);
        }
      }
      out.predicting = std::max(
          out.predicting,
          e.seconds / static_cast<double>(task.folds.empty()
                                              ? task.val->size()
                                              : static_cast<int64_t>(task.folds[fold].size())));
      sum += value_of(task, e);
      const auto done = static_cast<int64_t>(fold + 1);
      // Parts of few rows say little of the whole.
      if (task.pool->size() >= kManyRows && fold + 1 < folds && limits.report &&
          (done == 1 || done == 2) && limits.report(done, sum / static_cast<double>(done)))
        return ended(TrialOutcome::End::pruned, "others were better by then");
    }
  } catch (const Refused& r) {
    return ended(TrialOutcome::End::failed, r.reason);
  } catch (const std::bad_alloc&) {
    return ended(TrialOutcome::End::failed, "there was not enough memory");
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::cancelled) return halted();
    if (e.kind() == Error::Kind::io || e.kind() == Error::Kind::internal) throw;
    return ended(TrialOutcome::End::failed, e.what());
  }
  for (float v : out.scores)
    if (!std::isfinite(v))
      return ended(TrialOutcome::End::failed, "it predicts values that are not finite");
  out.value = objective(task, out.scores);
  out.score = score_of(task, out.scores);
  out.loss = loss_of_scores(task, out.scores);
  return ended(TrialOutcome::End::done);
}

std::unique_ptr<Trainer> train_on(const DatasetPtr& train, const DatasetPtr& test,
                                  TrainConfig& config, double deadline, Evaluation* result) {
  Quiet quiet;
  Alarm alarm(deadline);
  DataSplits d;
  d.train = train;
  d.test = test;
  auto trainer = std::make_unique<Trainer>(config, d);
  try {
    Evaluation e;
    (void)run_in_time(*trainer, deadline - steady_seconds(), config, e);
    if (result) *result = e;
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::cancelled) throw;
    return nullptr;
  }
  return trainer->stopped() ? nullptr : std::move(trainer);
}

}  // namespace nacre
