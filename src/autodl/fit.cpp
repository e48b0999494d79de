#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "autodl/blend.h"
#include "autodl/fit_report.h"
#include "autodl/fit_study.h"
#include "autodl/keep.h"
#include "autodl/pulse.h"
#include "autodl/recipes.h"
#include "autodl/store.h"
#include "autodl/trial_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "nacre/ensemble.h"
#include "nacre/formats.h"
#include "train/setup.h"

namespace nacre {
namespace {

constexpr double kSearchShare = 0.62;  // of the budget, where the best is trained longer afterwards
constexpr double kTrialShare = 0.07;   // of the budget, for one trial of pictures
constexpr double kMostShare = 0.3;     // of the budget, for any trial
constexpr double kNominalFlops = 2e10;  // where choices must not depend on the clock
constexpr double kNominalBudget = 300;
constexpr double kEasy = 1e5;         // numbers a second that no model minds
constexpr double kFewSamples = 400;   // to begin with, where there are many more
constexpr double kBeginShare = 0.15;  // of the budget, for a result of some kind
constexpr int64_t kStale = 60;        // trials in a row that brought nothing end the search
constexpr int64_t kSkipped = 8;       // trials in a row that there is no time for end it too
constexpr int64_t kMostEpochs = 60, kLeastEpochs = 2;
constexpr int64_t kFewEpochs = 12;  // a network that has fewer is better off with smaller pictures
constexpr double kNone = 1e300;     // the value of no trial
constexpr size_t kKeptModels = 8;
constexpr int64_t kFewPictures = 1000;
constexpr double kLonger = 4;        // times the epochs of a trial, for the result
constexpr double kLeastSeconds = 2;  // for the end: test, report
constexpr double kJoinSeconds = 30;  // for another process to begin the fit that is joined

double score_of_trial(const Trial& t) { return shown(t).score; }

class Fitter {
 public:
  Fitter(const FitOptions& options, const FitCallbacks& callbacks, bool joins)
      : started_(steady_seconds()), options_(options), callbacks_(callbacks), joins_(joins) {
    options_.check();
    folder_ = folder_of(options_.out);
  }

  FitResult run();
  int64_t join(const std::string& place);

 private:
  std::string trial_file(int64_t number, const char* ending) const {
    return cat({folder_, "/trials/", number, ending});
  }
  /// Where the study is.
  std::string place() const {
    return options_.study.empty() ? folder_ + "/study.db" : options_.study;
  }
  bool clocked() const { return options_.trials == 0; }
  /// Whether the result is trained again on held-out samples too: where those were folds, and where
  /// pictures are so few that each counts.
  bool learns_from_all() const {
    return !task_.folds.empty() ||
           (task_.pictures() && !task_.own_val && task_.pool->size() <= kFewPictures);
  }
  double end() const { return started_ + options_.budget - spent_; }
  /// Seconds that the test part takes at the end.
  double testing(const Trial& trial) const {
    return shown(trial).predicting * static_cast<double>(task_.test->size());
  }

  void open(bool fresh);
  void make_plan();
  double flops_of(const TrainConfig& config);
  int64_t epochs_for(const TrainConfig& config, double seconds);
  double expected_seconds(const Point& point) const;
  TrialOutcome execute(Trial& trial, const TrainConfig& config, double deadline);
  bool choose_family();
  std::vector<std::pair<std::string, Point>> points_to_try();
  bool begin_small();
  bool search();
  void longer();
  void keep_best(const Trial& trial);
  void forget_files();
  std::vector<Trial> ranked() const;
  TrainConfig full_config(const Trial& trial) const;
  void choose_members(const std::vector<Trial>& list, std::vector<Trial>& members,
                      std::vector<double>& weights, std::vector<float>& scores) const;
  Model trained_on_all(const Trial& trial, TrainConfig& config, double least);
  Model final_model(const Trial& trial, double longer, double least, TrainConfig& config);
  std::vector<Trial> to_keep(const std::vector<Trial>& list) const {
    return distinct_trials(task_, list, score_of_trial, options_.keep);
  }
  Evaluation save_tested(Model& m, const std::string& file) const;
  void keep_models(const std::vector<Trial>& list, double longer, FitResult& r);
  FitResult finish();
  FitResult stopped_result();

  double started_, spent_ = 0;
  FitOptions options_;
  FitCallbacks callbacks_;
  bool joins_;
  std::string folder_;
  FitTask task_;
  FitPlan plan_;
  NestedResult nested_;
  std::shared_ptr<FitSampler> sampler_ = std::make_shared<FitSampler>();
  std::optional<Study> study_;
  std::unique_ptr<FolderLock> lock_;
  double flops_ = 0;                     // a second, of training, measured
  std::map<std::string, double> rates_;  // the same in the last trial of each model
  double best_ = kNone;
  int64_t run_here_ = 0;
};

// ---- before the search

void Fitter::open(bool fresh) {
  task_ = make_task(options_);
  StudyOptions o;
  o.seed = static_cast<uint64_t>(options_.seed);
  o.about = about_of(task_);
  sampler_->wide = options_.keep > 0;
  o.sampler = sampler_;
  o.pruner = asha_pruner(1, 2);
  if (joins_) {
    study_.emplace(Study::join(place(), o));
    if (study_->about() != o.about)
      fail(Error::Kind::usage, {"the study ", place_name(place()), " is about other data than ",
                                options_.data, " now holds"});
    return;
  }
  make_folders(folder_ + "/trials");
  lock_ = std::make_unique<FolderLock>(folder_);
  study_.emplace(place(), space_of(task_), o);
  if (fresh && !study_->trials().empty())
    fail(Error::Kind::usage,
         {place_name(place()),
          " holds a fit already; add --resume to go on with it, or choose another ",
          options_.study.empty() ? "--out" : "--study"});
  study_->set_text("fit", print_json(settings_json(options_)));
  study_->set_text("over", "no");
}

/// Operations of an epoch of training.
double Fitter::flops_of(const TrainConfig& config) {
  DataSplits d;
  d.train = task_.train;
  d.val = d.test = task_.judged();
  Trainer trainer(config, d);
  Shape one = {1};
  for (int64_t s : trainer.info().input) one.push_back(s);
  return 6.0 * static_cast<double>(count_macs(trainer.model(), one)) *
         static_cast<double>(task_.train->size());
}

/// Measures some steps of the usual network, and predicts time and memory from that.
void Fitter::make_plan() {
  plan_.task = task_words(task_);
  plan_.regression = task_.regression;
  plan_.train = task_.train->size();
  plan_.held_out = task_.val ? task_.val->size() : 0;
  plan_.test = task_.test ? task_.test->size() : 0;
  plan_.folds = std::max<int64_t>(1, static_cast<int64_t>(task_.folds.size()));
  plan_.findings = task_.findings;
  plan_.seconds = options_.budget;
  if (options_.memory_limit == 0)
    options_.memory_limit = static_cast<uint64_t>(0.8 * static_cast<double>(free_memory()));
  plan_.limit = options_.memory_limit;
  const auto points = first_points(task_);
  TrainConfig usual;
  for (const auto& [label, point] : points) {
    const TrainConfig c = config_of(task_, point);
    if (c.model == "cnn" || c.model == "mlp") {
      usual = c;
      plan_.first = label;
    }
  }
  DataSplits d;
  d.train = task_.train;
  d.val = d.test = task_.judged();
  Trainer trainer(usual, d);
  Shape batch = {usual.batch};
  for (int64_t s : trainer.info().input) batch.push_back(s);
  plan_.bytes = predicted_bytes(trainer.model(), batch, task_.regression);
  if (plan_.bytes > plan_.limit)
    log_warning({"a step of ", plan_.first, " takes ", format_bytes(plan_.bytes), ", ",
                 format_bytes(plan_.limit), " are free: only smaller models will be tried"});
  LoaderOptions lo;
  lo.batch = usual.batch;
  lo.workers = 0;
  DataLoader loader(task_.train, trainer.transform(), shuffled(task_.train->size()), lo);
  loader.start(0);
  double seconds = 0;
  int64_t samples = 0, steps = 0;
  while (auto b = loader.next()) {
    const double t = steady_seconds();
    if (plan_.bytes > plan_.limit) break;
    (void)trainer.step(*b);
    if (++steps <= 2) continue;  // compiles
    seconds += steady_seconds() - t;
    samples += b->size();
    if (seconds > std::min(1.0, options_.budget / 60)) break;
  }
  const double each = samples ? seconds / static_cast<double>(samples) : 1e-4;
  flops_ =
      samples ? flops_of(usual) / static_cast<double>(task_.train->size()) / each : kNominalFlops;
  const auto n = static_cast<double>(task_.train->size());
  plan_.trial_seconds = by_time(task_, usual)
                            ? std::max(options_.budget * kTrialShare, kLeastEpochs * each * n)
                            : each * n * static_cast<double>(usual.epochs * plan_.folds);
  plan_.trials =
      options_.trials
          ? options_.trials
          : std::clamp<int64_t>(static_cast<int64_t>(options_.budget * 0.8 / plan_.trial_seconds),
                                1, 100000);
}

/// Epochs that take about so long.
int64_t Fitter::epochs_for(const TrainConfig& config, double seconds) {
  const auto known = rates_.find(config.model);
  const double rate = !clocked() ? kNominalFlops : known != rates_.end() ? known->second : flops_;
  return std::clamp<int64_t>(static_cast<int64_t>(seconds * rate / flops_of(config)), kLeastEpochs,
                             kMostEpochs);
}

// ---- trials

TrialOutcome Fitter::execute(Trial& trial, const TrainConfig& config, double deadline) {
  TrialLimits limits;
  limits.deadline = deadline;
  limits.size = options_.size_limit;
  limits.memory = options_.memory_limit;
  limits.latency = options_.latency_limit;
  limits.save = trial_file(trial.number, ".safetensors");
  limits.report = [&](int64_t part, double value) {
    const bool worse = study_->report(trial, part, value);
    return worse && trial.label.empty();  // the first points are worth knowing
  };
  TrialOutcome out = [&] {
    const Pulse pulse(place(), trial);
    return run_trial(task_, config, limits);
  }();
  const double tested = steady_seconds() + out.predicting * static_cast<double>(task_.test->size());
  if (clocked() && !joins_ && best_ < kNone && out.end == TrialOutcome::End::done &&
      tested > end() - kLeastSeconds / 2) {
    out.end = TrialOutcome::End::late;
    out.reason = "there was no time left to test it";
  }
  trial.seconds = out.seconds;
  switch (out.end) {
    case TrialOutcome::End::done: {
      const Tensor scores = Tensor::from(out.scores, {static_cast<int64_t>(out.scores.size())});
      const NamedTensor named("scores", raw_tensor(scores));
      save_safetensors(trial_file(trial.number, ".scores"), std::span(&named, 1));
      Json j = Json::object();
      j["score"] = out.score;
      j["loss"] = out.loss;
      j["epochs"] = task_.folds.empty() ? config.epochs : out.epochs;
      j["bytes"] = out.bytes;
      j["latency"] = out.latency;
      j["predicting"] = out.predicting;
      if (task_.part < 1) j["part"] = task_.part;
      if (out.rounds) j["rounds"] = out.rounds;
      if (out.cut || out.rounds)
        j["note"] =
            cat({"ended after ", out.cut ? out.epochs : out.rounds, " ",
                 out.cut ? "epochs" : counted_option(config.model), ", as the time was up"});
      study_->tell(trial, out.value, print_json(j));
      break;
    }
    case TrialOutcome::End::pruned:
      study_->prune(trial, out.reason);
      break;
    case TrialOutcome::End::late:
    case TrialOutcome::End::failed:
      study_->fail(trial, out.reason);
      break;
    case TrialOutcome::End::stopped:
      study_->release(trial);
      break;
  }
  if (by_time(task_, config) && out.end == TrialOutcome::End::done)
    rates_[config.model] = task_.part * flops_of(config) *
                           static_cast<double>(out.epochs * plan_.folds) /
                           std::max(1e-3, out.seconds);
  ++run_here_;
  if (out.end == TrialOutcome::End::stopped) return out;
  const bool best = out.end == TrialOutcome::End::done && out.value < best_;
  if (best) {
    best_ = out.value;
    if (!joins_) keep_best(trial);
  }
  if (callbacks_.on_trial) callbacks_.on_trial(shown(trial), best);
  return out;
}

/// The model is there, and the best so far, at any time.
void Fitter::keep_best(const Trial& trial) {
  const std::string file = trial_file(trial.number, ".safetensors");
  if (file_exists(file)) write_file_atomic(options_.out, MappedFile::open(file)->bytes());
  forget_files();
}

std::vector<Trial> Fitter::ranked() const {
  std::vector<Trial> list;
  for (Trial& t : study_->trials())
    if (t.state == Trial::State::done) list.push_back(std::move(t));
  std::stable_sort(list.begin(), list.end(),
                   [](const Trial& a, const Trial& b) { return a.value < b.value; });
  return list;
}

/// Only the best keep their files.
void Fitter::forget_files() {
  const auto list = ranked();
  std::set<int64_t> kept;
  for (const Trial& t : to_keep(list)) kept.insert(t.number);
  for (size_t i = kKeptModels; i < list.size(); ++i)
    for (const char* ending : {".safetensors", ".scores"}) {
      std::error_code gone;
      if (!kept.count(list[i].number))
        std::filesystem::remove(trial_file(list[i].number, ending), gone);
    }
}

/// Seconds that trials of this model, with this loss if it has a choice, took at most in this
/// study, or at least where the time was up before their end.
double Fitter::expected_seconds(const Point& point) const {
  const auto kind = [](const Point& p) {
    return (p.has("model") ? p.word("model") : "") + (p.has("loss") ? p.word("loss") : "");
  };
  double most = 0;
  for (const Trial& t : study_->trials())
    if ((t.state == Trial::State::done || t.note == kLate) && kind(t.point) == kind(point))
      most = std::max(most, t.seconds / shown(t).part);
  return most;
}

/// By nested cross-validation, if asked. False if the user stopped it.
bool Fitter::choose_family() {
  if (options_.nested == 0) return true;
  if (const auto text = study_->text("nested")) {
    nested_ = nested_from(parse_json(*text, "the study"));
  } else if (joins_) {
    fail(Error::Kind::usage,
         {"the fit has not chosen a family of models yet; join it once it runs trials"});
  } else {
    if (callbacks_.on_stage)
      callbacks_.on_stage(cat({"nested cross-validation in ", options_.nested, " outer parts"}));
    NestedOptions o;
    o.outer = options_.nested;
    o.seconds = clocked() ? 0.5 * (end() - steady_seconds()) : 0;
    o.seed = static_cast<uint64_t>(options_.seed);
    nested_ = nested_choice(task_.pool, o);
    if (nested_.stopped) return false;
    study_->set_text("nested", print_json(nested_json(nested_)));
  }
  sampler_->family = nested_.chosen;
  if (nested_.parts == 0)
    log_warning(
        {"half of the budget was too little for one outer part of the nested "
         "cross-validation: all families are searched"});
  if (nested_.parts > 0 && callbacks_.on_nested) callbacks_.on_nested(nested_);
  return true;
}

/// Those of the family that was chosen, if one was; where there is time for few epochs only, with
/// pictures of half the size and the quick network.
std::vector<std::pair<std::string, Point>> Fitter::points_to_try() {
  auto list = first_points(task_);
  bool hurried = false;  // the usual networks have time for few epochs
  for (auto& [label, point] : list) {
    const TrainConfig config = config_of(task_, point);
    if (!clocked() || !task_.pictures() || !by_time(task_, config)) continue;
    const bool few = epochs_for(config, kTrialShare * options_.budget) < kFewEpochs;
    const bool detail = point.has("look") && point.word("look") == "detail";
    if (few && !detail && point.has("size")) point.values["size"] = "half";
    hurried = hurried || (few && config.model == "cnn");
  }
  std::erase_if(list, [&](const auto& p) { return !hurried && p.first == kQuickNetwork; });
  std::erase_if(list, [&](const auto& p) {
    return !sampler_->family.empty() && p.second.word("model") != sampler_->family;
  });
  return list;
}

/// Where the data are large for the budget: the simplest model on few samples, then on as many as
/// take a fraction of the time, so that there is a result. False if the user stopped it.
bool Fitter::begin_small() {
  const auto n = static_cast<double>(task_.train->size());
  const auto inputs = static_cast<double>(
      task_.pictures() ? task_.channels * task_.side_width * task_.side_height : task_.features);
  const auto outputs = static_cast<double>(task_.regression ? 1 : task_.classes());
  const double work = n * inputs * outputs * static_cast<double>(plan_.folds);
  if (!clocked() || joins_ || best_ < kNone || work < kEasy * options_.budget) return true;
  const auto [label, point] = points_to_try().front();
  double part = kFewSamples / n, seconds = 0;
  for (int round = 0; round < 2 && part < 0.5; ++round) {
    Trial trial = study_->ask(point, cat({label, ", on part of the samples"}));
    TrainConfig config = config_of(task_, point);
    if (by_time(task_, config)) config.epochs = kLeastEpochs;
    task_.part = part;
    // The first of all may take longer than there is, as without it there is no result.
    const double least = round == 0 ? options_.budget : kLeastSeconds;
    const TrialOutcome out =
        execute(trial, config, std::max(end() - kLeastSeconds, steady_seconds() + least));
    task_.part = 1;
    if (out.end == TrialOutcome::End::stopped) return false;
    if (out.end != TrialOutcome::End::done) break;
    seconds = std::max(0.01, out.seconds);
    const bool never = seconds / part > 0.6 * options_.budget;  // would it learn from all
    const double more = (never ? 2.5 : 1) * kBeginShare * options_.budget / seconds;
    if (more < 2 || part * more >= 1) break;
    part *= more;
  }
  return true;
}

/// False if the user stopped it.
bool Fitter::search() {
  const double until =
      clocked() && task_.pictures() ? started_ + kSearchShare * (end() - started_) : end();
  int64_t barren = 0, skipped = 0;
  for (;;) {
    const auto trials = study_->trials();
    int64_t finished = 0;
    for (const Trial& t : trials)
      finished += t.state != Trial::State::waiting && t.state != Trial::State::running;
    if (options_.trials > 0 && finished >= options_.trials) return true;
    const double left = until - steady_seconds() - kLeastSeconds;
    // The result is tested; with folds its members are trained again on all before.
    double reserve = 0;
    const auto leaders = ranked();
    const size_t trained_again = std::max<size_t>(4, static_cast<size_t>(options_.keep));
    for (size_t k = 0; k < std::min(trained_again, leaders.size()); ++k) {
      if (!task_.folds.empty())
        reserve += 1.5 * leaders[k].seconds / static_cast<double>(task_.folds.size());
      if (k == 0 || static_cast<int64_t>(k) < options_.keep) reserve += testing(leaders[k]);
    }
    reserve = clocked() ? std::min(reserve, 0.25 * options_.budget) : 0;
    const bool short_is_little = task_.pictures() && best_ < kNone;
    if (left - reserve <= (short_is_little ? kTrialShare / 2 : 0.01) * options_.budget) return true;
    if (clocked() && barren >= kStale &&
        static_cast<int64_t>(to_keep(leaders).size()) >= options_.keep)
      return true;
    if (joins_ && study_->text("over").value_or("no") == "yes") return true;
    Trial trial = study_->ask();
    TrainConfig config = config_of(task_, trial.point);
    const bool timed = by_time(task_, config);
    if (timed) {
      const double share = config.model == "logistic_regression" ? kTrialShare / 4 : kTrialShare;
      const double whole =
          clocked() ? std::min(options_.budget * share, left - reserve) : kNominalBudget * share;
      config.epochs = epochs_for(config, whole / static_cast<double>(plan_.folds));
    }
    // Until there is a result, a trial may take what there is.
    const double most = best_ >= kNone || !clocked()
                            ? left - reserve
                            : std::min(left - reserve, std::max(2.0, kMostShare * options_.budget));
    // Trees can end with what they have: half of them is worth having.
    const double least =
        (counted_option(config.model).empty() ? 1 : 0.5) * expected_seconds(trial.point);
    if (clocked() && !timed && least >= most) {
      study_->fail(trial, "there was no time left for it");
      if (callbacks_.on_trial) callbacks_.on_trial(shown(trial), false);
      if (++skipped > kSkipped) return true;
      continue;
    }
    skipped = 0;
    const double before = best_;
    const TrialOutcome out = execute(trial, config, steady_seconds() + most);
    if (out.end == TrialOutcome::End::stopped) return false;
    barren = best_ < before || !trial.label.empty() ? 0 : barren + 1;
  }
}

/// The best point once more, with all the time that is left.
void Fitter::longer() {
  const auto list = ranked();
  if (!clocked() || !task_.pictures() || list.empty() || learns_from_all()) return;
  const double left =
      end() - steady_seconds() - kLeastSeconds - testing(list[0]) - 0.04 * options_.budget;
  for (const Trial& best : list) {
    TrainConfig config = config_of(task_, best.point);
    if (!by_time(task_, config) || config.model == "logistic_regression") continue;
    const FitTrial was = shown(best);
    const double each = best.seconds / static_cast<double>(was.epochs);
    config.epochs = std::min<int64_t>(4 * was.epochs, static_cast<int64_t>(0.8 * left / each));
    if (static_cast<double>(config.epochs) < 1.4 * static_cast<double>(was.epochs)) return;
    if (callbacks_.on_stage)
      callbacks_.on_stage(
          cat({"training the best, trial ", best.number, ", for ", config.epochs, " epochs"}));
    Trial trial = study_->ask(best.point, cat({"trial ", best.number, ", longer"}));
    (void)execute(trial, config, end() - kLeastSeconds);
    return;
  }
}

// ---- the result

TrainConfig Fitter::full_config(const Trial& trial) const {
  TrainConfig c = config_of(task_, trial.point);
  const FitTrial was = shown(trial);
  if (by_time(task_, c) && was.epochs > 0) c.epochs = was.epochs;
  if (was.rounds > 0) c.options = with_option(c.options, counted_option(c.model), was.rounds);
  return c;
}

FitResult Fitter::stopped_result() {
  FitResult r;
  r.stopped = true;
  r.plan = plan_;
  r.seconds = steady_seconds() - started_;
  for (const Trial& t : ranked()) r.leaderboard.push_back(shown(t));
  return r;
}

/// The trials that make the result, their weights, and what they together say of task_.judged().
void Fitter::choose_members(const std::vector<Trial>& list, std::vector<Trial>& members,
                            std::vector<double>& weights, std::vector<float>& scores) const {
  std::vector<const Trial*> from;
  std::vector<Candidate> candidates;
  for (const Trial& t : list) {
    if (candidates.size() >= kKeptModels ||
        group_of(task_, t.point) != group_of(task_, list[0].point))
      continue;
    if (task_.folds.empty() && !file_exists(trial_file(t.number, ".safetensors"))) continue;
    Candidate c{scores_of(trial_file(t.number, ".scores")), shown(t).bytes, shown(t).latency,
                testing(t)};
    if (c.scores.empty()) continue;
    candidates.push_back(std::move(c));
    from.push_back(&t);
  }
  const double left = clocked() ? end() - steady_seconds() - kLeastSeconds / 2 : kNone;
  const std::vector<double> shares = blend(task_, candidates, left);
  for (size_t k = 0; k < shares.size(); ++k) {
    if (shares[k] <= 0) continue;
    members.push_back(*from[k]);
    weights.push_back(shares[k]);
    scores.resize(candidates[k].scores.size());
    for (size_t i = 0; i < scores.size(); ++i)
      scores[i] += static_cast<float>(shares[k]) * candidates[k].scores[i];
  }
}

/// Without a network if the time was up, for which `least` seconds are given in any case.
Model Fitter::trained_on_all(const Trial& trial, TrainConfig& config, double least) {
  if (callbacks_.on_stage)
    callbacks_.on_stage(cat({"training trial ", trial.number, " on all samples"}));
  const double last =
      std::max(end() - kLeastSeconds / 2 - testing(trial), steady_seconds() + least);
  FitTask task = task_;
  task.part = shown(trial).part;
  const auto trainer = train_on(learned(task, task.pool), task.test, config, last);
  if (!trainer) return {};
  const std::string file = folder_ + "/trials/whole.safetensors";
  ModelInfo info = trainer->info();
  if (task_.clips) info.transform = for_clips(info.transform);
  save_model(file, trainer->model(), info);
  Model m = load_model(file);
  std::error_code gone;
  std::filesystem::remove(file, gone);
  return m;
}

/// The model of a trial as it goes into the result, and the settings that it has then; without a
/// network if the time was up.
Model Fitter::final_model(const Trial& trial, double longer, double least, TrainConfig& config) {
  config = full_config(trial);
  Model m;
  if (learns_from_all()) {
    config.val_share = 0;
    if (by_time(task_, config))
      config.epochs =
          static_cast<int64_t>(longer * static_cast<double>(std::max<int64_t>(1, config.epochs)));
    m = trained_on_all(trial, config, least);
  }
  const std::string file = trial_file(trial.number, ".safetensors");
  if (!m.net && task_.folds.empty() && file_exists(file)) {
    m = load_model(file);
    config = full_config(trial);
  }
  return m;
}

/// Tests a model and writes it with what the test said. It is there before, too: a test takes time.
Evaluation Fitter::save_tested(Model& m, const std::string& file) const {
  m.info.extra.erase("score");
  save_model(file, *m.net, m.info);
  Evaluation e = evaluate(*m.net, task_.test, Transform::parse(m.info.transform), 256, 1);
  write_card(m.info, options_.data, options_.seed, "test", e.score());
  save_model(file, *m.net, m.info);
  return e;
}

/// Models of different structure that are nearly as good as the best, and all of them as one.
void Fitter::keep_models(const std::vector<Trial>& list, double longer, FitResult& r) {
  std::vector<Model> models;
  const std::string folder = folder_ + "/models";
  make_folders(folder);
  const auto saved = [&](Model& m, const std::string& file) {
    return save_tested(m, file).score();
  };
  const auto kept = to_keep(list);
  for (const Trial& t : kept) {
    TrainConfig config;
    Model m = final_model(t, longer, 0, config);
    if (stop_requested()) return;
    if (!m.net) continue;
    char number[16];
    std::snprintf(number, sizeof number, "%02zu", models.size() + 1);
    const std::string file = folder + "/" + number + ".safetensors";
    r.kept.push_back({t.number, structure_of(t.point), file, score_of_trial(t), saved(m, file)});
    models.push_back(std::move(m));
  }
  if (models.size() < static_cast<size_t>(options_.keep))
    log_warning({"only ", models.size(), " of ", options_.keep,
                 " models are kept: no more of different structure came within a hundredth of the "
                 "best, or were trained in time; a larger budget finds more"});
  if (models.size() < 2) return;
  const std::vector<double> weights(models.size(), 1.0);
  Model all = make_ensemble(std::move(models), weights);
  const std::string file = folder + "/ensemble.safetensors";
  r.kept.push_back({0, "ensemble", file, 0, saved(all, file)});
}

FitResult Fitter::finish() {
  study_->set_text("over", "yes");
  const auto list = ranked();
  FitResult r;
  r.plan = plan_;
  r.nested = nested_;
  for (const Trial& t : list) r.leaderboard.push_back(shown(t));
  for (const Trial& t : study_->trials())
    if (t.state == Trial::State::pruned || t.state == Trial::State::failed)
      r.leaderboard.push_back(shown(t));
  if (list.empty()) {
    std::string why;
    for (const FitTrial& t : r.leaderboard)
      if (why.empty() && !t.note.empty()) why = t.note;
    fail(Error::Kind::data, {"no trial came to a result", why.empty() ? "" : ": " + why,
                             "; a larger budget or smaller data may help"});
  }
  std::vector<float> scores;
  std::vector<Trial> members;
  std::vector<double> weights;
  choose_members(list, members, weights, scores);
  std::vector<Model> models;
  std::vector<double> kept;
  double needed = 0;  // seconds to train the members on all samples, for as many epochs
  for (const Trial& t : members)
    needed += t.seconds * static_cast<double>(task_.pool->size()) /
              static_cast<double>(task_.train->size()) / static_cast<double>(plan_.folds);
  const double left = end() - steady_seconds() - kLeastSeconds;
  const double longer =
      clocked() ? std::clamp(0.75 * left / std::max(1e-3, needed), 1.0, kLonger) : 1.0;
  for (size_t k = 0; k < members.size(); ++k) {
    TrainConfig config;
    Model m = final_model(members[k], longer, models.empty() ? 1 : 0, config);
    if (stop_requested()) return stopped_result();
    if (!m.net) {
      log_warning(
          {"the time was up before trial ", members[k].number, " was trained on all samples"});
      continue;
    }
    models.push_back(std::move(m));
    kept.push_back(weights[k]);
    for (FitTrial& t : r.leaderboard)
      if (t.number == members[k].number) t.weight = weights[k];
    if (shown(members[k]).part < 1) continue;  // no command leaves samples out
    const std::string number = members.size() > 1 ? cat({"-", members[k].number}) : "";
    if (task_.clips) config.transform = for_clips(config.transform);
    r.commands.push_back(train_command(config, folder_ + "/again" + number));
  }
  Model model;
  if (models.size() > 1) {
    model = make_ensemble(std::move(models), kept);
  } else if (models.size() == 1) {
    model = std::move(models[0]);
  } else {
    log_warning({options_.out, " has learned from ", plan_.folds - 1, " of ", plan_.folds,
                 " parts of the samples only"});
    r.leaderboard[0].weight = 1;
    model = load_model(options_.out);
  }
  r.part = "test";
  r.test = save_tested(model, options_.out);
  if (options_.keep) keep_models(list, longer, r);
  r.model = options_.out;
  r.report = folder_ + "/report.html";
  r.seconds = steady_seconds() - started_;
  write_fit_report(r, task_, options_, model, scores);
  r.seconds = steady_seconds() - started_;
  return r;
}

FitResult Fitter::run() {
  open(!options_.resume);
  for (const Trial& t : study_->trials()) {
    spent_ += t.seconds;
    if (t.state == Trial::State::done) best_ = std::min(best_, t.value);
  }
  if (spent_ > 0.9 * options_.budget) spent_ = 0.9 * options_.budget;  // the end takes time too
  make_plan();
  if (callbacks_.on_plan) callbacks_.on_plan(plan_);
  if (!choose_family()) return stopped_result();
  study_->enqueue(points_to_try());
  if (!begin_small() || !search()) return stopped_result();
  longer();
  if (stop_requested()) return stopped_result();
  return finish();
}

int64_t Fitter::join(const std::string& place) {
  options_.study = place;
  open(false);
  make_plan();
  if (callbacks_.on_plan) callbacks_.on_plan(plan_);
  (void)choose_family();
  (void)search();
  return run_here_;
}

}  // namespace

namespace {

/// What a fit was begun with, where `o` does not say otherwise.
FitOptions begun(FitOptions o) {
  const std::string place = o.study.empty() ? folder_of(o.out) + "/study.db" : o.study;
  const bool none = !is_remote(place) && !file_exists(place);
  const auto text = none ? std::nullopt : Study::join(place).text("fit");
  if (!text) {  // killed before anything was written
    if (o.budget == 0) o.budget = FitOptions().budget;
    return o;
  }
  const FitOptions was = options_of(parse_json(*text, place_name(place)));
  const auto keep = [](auto& now, const auto& then, const auto& unset) {
    if (now == unset) now = then;
  };
  keep(o.target, was.target, std::string());
  keep(o.task, was.task, std::string("auto"));
  keep(o.from, was.from, std::string());
  keep(o.budget, was.budget, 0.0);
  keep(o.nested, was.nested, int64_t{0});
  keep(o.keep, was.keep, int64_t{0});
  keep(o.seed, was.seed, int64_t{0});
  keep(o.trials, was.trials, int64_t{0});
  keep(o.size_limit, was.size_limit, uint64_t{0});
  keep(o.memory_limit, was.memory_limit, uint64_t{0});
  keep(o.latency_limit, was.latency_limit, 0.0);
  return o;
}

/// What the fit in a study was begun with. Waits for it to begin: a scheduler starts all workers at
/// once.
FitOptions begun_elsewhere(const std::string& place, const FitCallbacks& callbacks) {
  const double until = steady_seconds() + kJoinSeconds;
  for (bool told = false;; told = true) {
    try {
      if (const auto text = Study::join(place).text("fit"))
        return options_of(parse_json(*text, place_name(place)));
    } catch (const Error& e) {
      const bool may_come =
          e.kind() == Error::Kind::data || (e.kind() == Error::Kind::usage && !is_remote(place));
      if (!may_come || steady_seconds() > until || stop_requested()) throw;
    }
    if (steady_seconds() > until || stop_requested())
      fail(Error::Kind::usage, {place_name(place), " is not the study of a fit"});
    if (!told && callbacks.on_stage)
      callbacks.on_stage(cat({"waiting for the fit in ", place_name(place), " to begin"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

FitResult fit(const FitOptions& options, const FitCallbacks& callbacks) {
  return Fitter(options.resume ? begun(options) : options, callbacks, false).run();
}

int64_t join_fit(const std::string& study, const FitCallbacks& callbacks) {
  const FitOptions options = begun_elsewhere(study, callbacks);
  if (!folder_exists(folder_of(options.out)))
    fail(Error::Kind::usage, {"the folder ", folder_of(options.out),
                              " of the fit is not seen here; a fit can be joined where its folder "
                              "and its data are under the same paths"});
  return Fitter(options, callbacks, true).join(study);
}

}  // namespace nacre
