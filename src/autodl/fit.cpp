#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "autodl/blend.h"
#include "autodl/fit_report.h"
#include "autodl/recipes.h"
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
constexpr int64_t kStale = 60;  // trials in a row that brought nothing end the search
constexpr int64_t kMostEpochs = 60, kLeastEpochs = 2;
constexpr double kNone = 1e300;  // the value of no trial
constexpr size_t kKeptModels = 8;
constexpr int64_t kFewPictures = 1000;
constexpr double kLonger = 4;        // times the epochs of a trial, for the result
constexpr double kLeastSeconds = 2;  // for the end: test, report

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Json settings_json(const FitOptions& o) {
  Json j = Json::object();
  j["data"] = std::filesystem::weakly_canonical(o.data).string();
  j["target"] = o.target;
  j["task"] = o.task;
  j["seed"] = o.seed;
  j["trials"] = o.trials;
  j["budget"] = o.budget;
  j["size_limit"] = std::to_string(o.size_limit);
  j["memory_limit"] = std::to_string(o.memory_limit);
  j["latency_limit"] = o.latency_limit;
  j["from"] = o.from;
  j["folder"] = std::filesystem::weakly_canonical(folder_of(o.out)).string();
  return j;
}

FitOptions options_of(const Json& j) {
  FitOptions o;
  o.data = j.at("data").text();
  o.target = j.at("target").text();
  o.task = j.at("task").text();
  o.seed = j.at("seed").integer();
  o.trials = j.at("trials").integer();
  o.budget = j.at("budget").number();
  o.size_limit = std::strtoull(j.at("size_limit").text().c_str(), nullptr, 10);
  o.memory_limit = std::strtoull(j.at("memory_limit").text().c_str(), nullptr, 10);
  o.latency_limit = j.at("latency_limit").number();
  o.from = j.at("from").text();
  o.out = j.at("folder").text() + "/model.safetensors";
  return o;
}

/// What all trials of a study must have in common.
std::string about_of(const FitTask& t) {
  DataSplits d;
  d.train = t.pool;
  d.test = t.test;
  return cat(
      {"fit ", t.options.target, " ", std::to_string(data_fingerprint(d)), " ", t.options.from});
}

std::string task_words(const FitTask& t) {
  if (t.pictures())
    return cat({"pictures (", t.channels, "x", t.side_height, "x", t.side_width, ") of ",
                t.classes(), " classes"});
  std::string target;
  if (const TableSchema* schema = t.pool->schema(); schema && schema->target >= 0)
    target = cat({" in '", schema->columns[static_cast<size_t>(schema->target)].name, "'"});
  return t.regression ? cat({"rows with a value to predict", target})
                      : cat({"rows of ", t.classes(), " classes", target});
}

FitTrial shown(const Trial& t) {
  FitTrial f;
  f.number = t.number;
  f.state = t.state;
  f.label = t.label.empty() ? "search" : t.label;
  f.model = t.point.has("model") ? t.point.word("model") : "";
  Point rest = t.point;
  rest.values.erase("model");
  f.settings = rest.str();
  f.value = t.value;
  f.seconds = t.seconds;
  f.note = t.note;
  if (t.state != Trial::State::done) return f;
  const Json j = parse_json(t.note, "a trial of the study");
  f.note = j.text_or("note", "");
  f.score = j.number_or("score", 0);
  f.loss = j.number_or("loss", 0);
  f.epochs = j.integer_or("epochs", 0);
  f.bytes = static_cast<uint64_t>(j.integer_or("bytes", 0));
  f.latency = j.number_or("latency", 0);
  return f;
}

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
  bool clocked() const { return options_.trials == 0; }
  /// Whether the result is trained again on held-out samples too: where those were folds, and where
  /// pictures are so few that each counts.
  bool learns_from_all() const {
    return !task_.folds.empty() ||
           (task_.pictures() && !task_.own_val && task_.pool->size() <= kFewPictures);
  }
  double end() const { return started_ + options_.budget - spent_; }

  void open(bool fresh);
  void make_plan();
  double flops_of(const TrainConfig& config);
  int64_t epochs_for(const TrainConfig& config, double seconds);
  double expected_seconds(const Point& point) const;
  TrialOutcome execute(Trial& trial, const TrainConfig& config, double deadline);
  bool search();
  void longer();
  void keep_best(const Trial& trial);
  void forget_files();
  std::vector<Trial> ranked() const;
  TrainConfig full_config(const Trial& trial) const;
  void choose_members(const std::vector<Trial>& list, std::vector<Trial>& members,
                      std::vector<double>& weights, std::vector<float>& scores) const;
  Model trained_on_all(const Trial& trial, const TrainConfig& config);
  FitResult finish();
  FitResult stopped_result();

  double started_, spent_ = 0;
  FitOptions options_;
  FitCallbacks callbacks_;
  bool joins_;
  std::string folder_;
  FitTask task_;
  FitPlan plan_;
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
  o.sampler = tpe_sampler({8, 0.2, 32});
  o.pruner = asha_pruner(1, 2);
  const std::string place = options_.study.empty() ? folder_ + "/study.db" : options_.study;
  make_folders(folder_ + "/trials");
  if (joins_) {
    study_.emplace(Study::join(place, o));
    if (study_->about() != o.about)
      fail(Error::Kind::usage,
           {"the study ", place, " is about other data than ", options_.data, " now holds"});
    return;
  }
  lock_ = std::make_unique<FolderLock>(folder_);
  study_.emplace(place, space_of(task_), o);
  if (fresh && !study_->trials().empty())
    fail(Error::Kind::usage, {place,
                              " holds a fit already; add --resume to go on with it, or "
                              "choose another --out"});
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
  TrialOutcome out = run_trial(task_, config, limits);
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
      if (out.cut) j["note"] = cat({"ended after ", out.epochs, " epochs, as the time was up"});
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
    rates_[config.model] = flops_of(config) * static_cast<double>(out.epochs * plan_.folds) /
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
  for (size_t i = kKeptModels; i < list.size(); ++i)
    for (const char* ending : {".safetensors", ".scores"}) {
      std::error_code gone;
      std::filesystem::remove(trial_file(list[i].number, ending), gone);
    }
}

/// Seconds that trials of this model took at most, in this study.
double Fitter::expected_seconds(const Point& point) const {
  double most = 0;
  for (const Trial& t : study_->trials())
    if (t.state == Trial::State::done && t.point.has("model") &&
        t.point.word("model") == point.word("model"))
      most = std::max(most, t.seconds);
  return most;
}

/// False if the user stopped it.
bool Fitter::search() {
  const double until =
      clocked() && task_.pictures() ? started_ + kSearchShare * (end() - started_) : end();
  int64_t barren = 0;
  for (;;) {
    const auto trials = study_->trials();
    int64_t finished = 0;
    for (const Trial& t : trials)
      finished += t.state != Trial::State::waiting && t.state != Trial::State::running;
    if (options_.trials > 0 && finished >= options_.trials) return true;
    const double left = until - steady_seconds() - kLeastSeconds;
    // With folds the members of the result are trained again on all.
    double reserve = 0;
    const auto leaders = ranked();
    for (size_t k = 0; k < std::min<size_t>(4, leaders.size()) && !task_.folds.empty(); ++k)
      reserve += 1.5 * leaders[k].seconds / static_cast<double>(task_.folds.size());
    reserve = clocked() ? std::min(reserve, 0.25 * options_.budget) : 0;
    if (left - reserve <= 0.01 * options_.budget) return true;
    if (clocked() && barren >= kStale) return true;
    if (joins_ && study_->text("over").value_or("no") == "yes") return true;
    Trial trial = study_->ask();
    TrainConfig config = config_of(task_, trial.point);
    if (by_time(task_, config))
      config.epochs = epochs_for(
          config, (clocked() ? options_.budget : kNominalBudget) *
                      (config.model == "logistic_regression" ? kTrialShare / 4 : kTrialShare) /
                      static_cast<double>(plan_.folds));
    // Until there is a result, a trial may take what there is.
    const double most = best_ >= kNone
                            ? left - reserve
                            : std::min(left - reserve, std::max(2.0, kMostShare * options_.budget));
    if (clocked() && expected_seconds(trial.point) > left - reserve) {
      study_->fail(trial, "there was no time left for it");
      if (callbacks_.on_trial) callbacks_.on_trial(shown(trial), false);
      if (++barren > 5) return true;
      continue;
    }
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
  const double left = end() - steady_seconds() - kLeastSeconds - 0.04 * options_.budget;
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
  const int64_t epochs = shown(trial).epochs;
  if (by_time(task_, c) && epochs > 0) c.epochs = epochs;
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
  // What the members of an ensemble have to have in common: the steps before the network.
  const auto size_of = [&](const Trial& t) {
    std::string text = t.point.has("size") ? t.point.word("size") : "";
    text += t.point.has("look") ? t.point.word("look") : "plain";
    text += t.point.has("features") ? t.point.word("features") : "all";
    if (task_.texts && find_model(config_of(task_, t.point).model).missing) text += " as it is";
    return text;
  };
  for (const Trial& t : list) {
    if (candidates.size() >= kKeptModels || size_of(t) != size_of(list[0])) continue;
    if (task_.folds.empty() && !file_exists(trial_file(t.number, ".safetensors"))) continue;
    Candidate c{scores_of(trial_file(t.number, ".scores")), shown(t).bytes, shown(t).latency};
    if (c.scores.empty()) continue;
    candidates.push_back(std::move(c));
    from.push_back(&t);
  }
  const std::vector<double> shares = blend(task_, candidates);
  for (size_t k = 0; k < shares.size(); ++k) {
    if (shares[k] <= 0) continue;
    members.push_back(*from[k]);
    weights.push_back(shares[k]);
    scores.resize(candidates[k].scores.size());
    for (size_t i = 0; i < scores.size(); ++i)
      scores[i] += static_cast<float>(shares[k]) * candidates[k].scores[i];
  }
}

/// Without a network if the time was up.
Model Fitter::trained_on_all(const Trial& trial, const TrainConfig& config) {
  if (callbacks_.on_stage)
    callbacks_.on_stage(cat({"training trial ", trial.number, " on all samples"}));
  const double last = std::max(end() - kLeastSeconds / 2, steady_seconds() + 1);
  const auto trainer = train_on_pool(task_, config, last);
  if (!trainer) return {};
  const std::string file = folder_ + "/trials/whole.safetensors";
  save_model(file, trainer->model(), trainer->info());
  Model m = load_model(file);
  std::error_code gone;
  std::filesystem::remove(file, gone);
  return m;
}

FitResult Fitter::finish() {
  study_->set_text("over", "yes");
  const auto list = ranked();
  FitResult r;
  r.plan = plan_;
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
    TrainConfig config = full_config(members[k]);
    const std::string file = trial_file(members[k].number, ".safetensors");
    Model m;
    if (learns_from_all()) {
      config.val_share = 0;
      if (by_time(task_, config))
        config.epochs =
            static_cast<int64_t>(longer * static_cast<double>(std::max<int64_t>(1, config.epochs)));
      m = trained_on_all(members[k], config);
    }
    if (!m.net && task_.folds.empty() && file_exists(file)) {
      m = load_model(file);
      config = full_config(members[k]);
    }
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
    const std::string number = members.size() > 1 ? cat({"-", members[k].number}) : "";
    r.commands.push_back(train_command(config, folder_ + "/again" + number));
  }
  if (models.size() > 1) {
    const Model all = make_ensemble(std::move(models), kept);
    save_model(options_.out, *all.net, all.info);
  } else if (models.size() == 1) {
    save_model(options_.out, *models[0].net, models[0].info);
  } else {
    log_warning({options_.out, " has learned from ", plan_.folds - 1, " of ", plan_.folds,
                 " parts of the samples only"});
    r.leaderboard[0].weight = 1;
  }
  const Model model = load_model(options_.out);
  r.part = "test";
  r.test = evaluate(*model.net, task_.test, Transform::parse(model.info.transform), 256, 1);
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
  study_->enqueue(first_points(task_));
  if (!search()) return stopped_result();
  longer();
  if (stop_requested()) return stopped_result();
  return finish();
}

int64_t Fitter::join(const std::string& place) {
  options_.study = place;
  open(false);
  make_plan();
  if (callbacks_.on_plan) callbacks_.on_plan(plan_);
  (void)search();
  return run_here_;
}

}  // namespace

namespace {

/// What a fit was begun with, where `o` does not say otherwise.
FitOptions begun(FitOptions o) {
  const std::string place = o.study.empty() ? folder_of(o.out) + "/study.db" : o.study;
  const bool file = !place.starts_with("postgresql://");
  const auto text = file && !file_exists(place) ? std::nullopt : Study::join(place).text("fit");
  if (!text) {  // killed before anything was written
    if (o.budget == 0) o.budget = FitOptions().budget;
    return o;
  }
  const FitOptions was = options_of(parse_json(*text, place));
  const auto keep = [](auto& now, const auto& then, const auto& unset) {
    if (now == unset) now = then;
  };
  keep(o.target, was.target, std::string());
  keep(o.task, was.task, std::string("auto"));
  keep(o.from, was.from, std::string());
  keep(o.budget, was.budget, 0.0);
  keep(o.seed, was.seed, int64_t{0});
  keep(o.trials, was.trials, int64_t{0});
  keep(o.size_limit, was.size_limit, uint64_t{0});
  keep(o.memory_limit, was.memory_limit, uint64_t{0});
  keep(o.latency_limit, was.latency_limit, 0.0);
  return o;
}

}  // namespace

FitResult fit(const FitOptions& options, const FitCallbacks& callbacks) {
  return Fitter(options.resume ? begun(options) : options, callbacks, false).run();
}

int64_t join_fit(const std::string& study, const FitCallbacks& callbacks) {
  const Study s = Study::join(study);
  const auto text = s.text("fit");
  if (!text) fail(Error::Kind::usage, {study, " is not the study of a fit"});
  return Fitter(options_of(parse_json(*text, study)), callbacks, true).join(study);
}

}  // namespace nacre
