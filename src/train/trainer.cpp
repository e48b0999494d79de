#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"
#include "nacre/autograd.h"
#include "nacre/formats.h"
#include "nacre/plan.h"
#include "nacre/precision.h"
#include "nacre/tabular.h"
#include "nacre/tuning.h"
#include "train/loss.h"
#include "train/run_folder.h"
#include "train/setup.h"
#include "train/transfer.h"
#include "train/trouble.h"

namespace nacre {

/// Holds for the plans of a training step.
struct MemoryLimit {
  explicit MemoryLimit(size_t bytes) : before_(nacre::memory_limit()) { set_memory_limit(bytes); }
  ~MemoryLimit() { set_memory_limit(before_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  size_t before_;
};

struct Trainer::Impl {
  TrainConfig config;
  size_t memory_limit = 0;
  TrainCallbacks callbacks;
  DataSplits data;
  Transform transform;
  ModelInfo info;
  const ModelEntry* entry = nullptr;
  std::string loss_name;
  std::unique_ptr<Module> net;
  Start start;
  std::unique_ptr<Transfer> transfer;
  std::vector<Variable> trained;      // in this epoch
  Tensor class_weights;               // undefined: all classes count the same
  std::vector<float> sample_weights;  // of mean 1; empty: all samples count the same
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<Average> average;
  std::unique_ptr<DataLoader> loader;
  SamplerPtr sampler;
  uint64_t fingerprint = 0;

  int64_t epoch = 0, batch_in_epoch = 0, steps = 0;  // where the run stands
  double epoch_loss = 0;                             // sums of the epoch so far
  int64_t epoch_samples = 0, bad_epochs = 0;
  double best_loss = std::numeric_limits<double>::infinity();
  std::optional<Evaluation> judged;  // on data.val, of a model that is fitted at once
  Tensors best;     // the best values of all variables, where no run folder holds them
  Tensors pending;  // gradients of parts of an update
  int64_t parts = 0;
  std::vector<EpochInfo> history;
  bool stop_asked = false, was_stopped = false;
  std::atomic<bool> last_epoch = false;

  bool regression() const { return data.train->classes().empty(); }
  int64_t epoch_batches() const { return (data.train->size() + config.batch - 1) / config.batch; }
  void build();
  std::optional<Start> start_of_checkpoint() const;
  void enter_epoch();
  double step(const Batch& b);
  Evaluation validate(const DatasetPtr& part);
  void write_model(const RunFolder& run, const std::string& score);
  void end_epoch(double seconds, RunFolder* run);
  void fit_at_once(RunFolder* run);
  void keep_as_best();
  /// The part that the result is measured on: test, or where there is none validation, or training.
  const DatasetPtr& shown() const {
    return data.test ? data.test : data.val ? data.val : data.train;
  }
  Json position() const;
};

void Trainer::Impl::build() {
  const std::string split = split_text(data, config);
  prepare_splits(data, config);
  if (!data.val && config.patience > 0)
    fail(Error::Kind::usage, {"patience ", config.patience,
                              " needs a validation part, and val_share "
                              "is 0"});
  fingerprint = data_fingerprint(data);
  if (!config.sample_weights.empty()) {
    sample_weights = read_sample_weights(config.sample_weights, *data.train);
    fingerprint = hash64({reinterpret_cast<const char*>(sample_weights.data()),
                          sample_weights.size() * sizeof(float)},
                         fingerprint);
  }
  entry = &find_model(config.model);
  if (entry->fit && !(config.from.empty() && config.freeze.empty() && config.unfreeze.empty()))
    fail(Error::Kind::usage, {config.model,
                              " is fitted at once: it cannot start from a model file "
                              "(from) or keep parameters (freeze, unfreeze)"});
  if (const std::string list = settings_without_use(config, *entry, regression()); !list.empty())
    log_warning({list});
  loss_name = choose_loss(config, regression());
  const Setup s = fit_to_data(*entry, config, data);
  transform = s.transform;
  info.model = config.model;
  info.options = s.options;
  info.transform = transform.str();
  info.classes = data.train->classes();
  info.input = s.input;
  info.extra = s.extra;
  info.extra["loss"] = loss_name;
  if (!split.empty()) info.extra["split"] = split;
  const Key key(static_cast<uint64_t>(config.seed));
  const std::optional<Start> known = start_of_checkpoint();
  if (known) start = *known;
  const Scope scope = config.from.empty() || known ? Scope::init(key.fold_in("init"))
                                                   : scope_from(config.from, key, &start);
  net = make_model(config.model, s.options, scope);
  if (!config.from.empty() && start.taken == 0)
    fail(Error::Kind::data, {config.from, " has no parameter whose name and shape ", config.model,
                             " (", s.options, ") has too"});
  try {  // before there is a run folder
    NoGrad guard;
    Shape one = s.input;
    one.insert(0, 1);
    Context ctx = Context::eval();
    (*net)(zeros(one), ctx);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::shape) throw;
    fail(Error::Kind::usage, {config.model, s.options.empty() ? "" : " (" + s.options + ")",
                              " does not take samples of shape ", s.input,
                              ", which is what the data and the transform ", "give: ", e.what()});
  }
  if (regression()) net = scaled_to_targets(scope, std::move(net), *data.train);
  if (config.class_weights == "balanced" && !regression()) {
    const Indices labels = labels_of(*data.train);
    const auto classes = static_cast<int64_t>(data.train->classes().size());
    const std::vector<float> weights = balanced_weights(labels, classes);
    std::vector<float> of_class(static_cast<size_t>(classes), 0.0f);
    for (size_t i = 0; i < labels.size(); ++i)
      of_class[static_cast<size_t>(labels[i])] = weights[i];
    class_weights = Tensor::from(of_class, {classes});
  }
  if (known)
    for (const Variable& v : net->variables()) start.asked.push_back(v.name());
  transfer = std::make_unique<Transfer>(config, *net, s.input, start, key);
  trained = transfer->trained(0);
  optimizer =
      make_optimizer(config.optimizer, trained, config.lr, config.weight_decay, config.momentum);
  optimizer->set_lr_scales(transfer->scales(trained));
  if (config.ema > 0 && !entry->fit)
    average = std::make_unique<Average>(transfer->ever_trained(), config.ema);
  sampler = config.sampler == "shuffle"
                ? shuffled(data.train->size())
                : class_balanced(labels_of(*data.train), data.train->size());
  LoaderOptions o;
  o.batch = config.batch;
  o.workers = static_cast<int>(config.workers);
  o.seed = static_cast<uint64_t>(config.seed);
  loader = std::make_unique<DataLoader>(data.train, transform, sampler, o);
  schedule = schedule::parse(config.schedule, config.lr, epoch_batches(), config.epochs);
}

/// Of a run that goes on: the checkpoint has the weights, so their first file may be gone.
std::optional<Start> Trainer::Impl::start_of_checkpoint() const {
  if (!config.resume || config.from.empty()) return {};
  for (const std::string& path :
       {RunFolder::checkpoint_path(config.out), RunFolder::previous_path(config.out)}) {
    if (!file_exists(path)) continue;
    try {
      const SafeTensors file = SafeTensors::open(path);
      const auto at = file.metadata().find("start");
      if (at != file.metadata().end()) return Start::from_json(parse_json(at->second, path));
    } catch (const Error& e) {  // run() says so
      if (e.kind() != Error::Kind::data) throw;
    }
  }
  return {};
}

/// What is trained may be more than in the epoch before.
void Trainer::Impl::enter_epoch() {
  const std::vector<Variable> now = transfer->trained(epoch);
  transfer->enter(epoch);
  if (now.size() == trained.size()) return;
  const int64_t updates = epoch_batches();
  Tensors gradients;
  std::vector<int64_t> since;
  for (size_t i = 0, known = 0; i < now.size(); ++i) {
    const bool joins = known == trained.size() || trained[known].name() != now[i].name();
    if (!pending.empty()) gradients.push_back(joins ? zeros_like(now[i].value()) : pending[known]);
    known += !joins;
    since.push_back(transfer->since(now[i]) * updates / config.accumulate);
  }
  trained = now;
  pending = std::move(gradients);
  optimizer->set_parameters(trained, since);
  optimizer->set_lr_scales(transfer->scales(trained));
}

double Trainer::Impl::step(const Batch& b) {
  const Precision precision(config.precision);
  const MemoryLimit bound(memory_limit);
  const Key key =
      Key(static_cast<uint64_t>(config.seed)).fold_in("step").fold_in(static_cast<uint64_t>(steps));
  Context ctx = Context::train(key);
  const Tensor x = Tensor::from(b.x, b.shape);
  Tensor y;
  {
    const Adapters::Use use(transfer->adapters());
    y = (*net)(x, ctx);
  }
  if (!sample_weights.empty()) {  // gradients of a sample's outputs, and so of its loss, are scaled
    std::vector<float> w;
    for (const int64_t i : b.indices) w.push_back(sample_weights[static_cast<size_t>(i)]);
    Shape each{b.size()};
    while (each.rank() < y.rank()) each.push_back(1);
    const Tensor fixed = stop_gradient(y);
    y = fixed + Tensor::from(w, each) * (y - fixed);
  }
  Tensor loss = loss_of(loss_name, y, b, config.label_smoothing, output_std(*net), class_weights);
  if (const Tensor more = transfer->penalty(trained); more.defined()) loss = loss + more;
  Tensors g = grad(config.accumulate > 1 ? loss / static_cast<double>(config.accumulate) : loss,
                   values(trained));
  if (!pending.empty())
    for (size_t i = 0; i < g.size(); ++i) g[i] = g[i] + pending[i];
  // A loss that is not finite leaves model and optimiser as they were: it can be looked into.
  const Tensor usable = isfinite(stop_gradient(loss));
  ctx.commit(usable);
  ++steps;
  if (++parts < config.accumulate) {
    pending = g;
    Tensors also = g;
    also.push_back(loss);
    net->state()->commit(also);
  } else {
    pending.clear();
    parts = 0;
    if (config.clip_norm > 0) clip_grad_norm(g, config.clip_norm);
    optimizer->set_lr(schedule->at(steps - 1));
    optimizer->step(g, usable);
    g.clear();
    if (average) average->update(usable);
    std::vector<State*> states = {net->state().get(), optimizer->state().get()};
    if (average) states.push_back(average->state().get());
    if (transfer->adapters()) states.push_back(transfer->adapters()->state().get());
    State::commit(states, {loss});
  }
  const double value = loss.item();
  if (!std::isfinite(value)) {
    pending.clear();  // the update that was begun is given up
    parts = 0;
    fail(Error::Kind::numeric,
         {"the loss became ", std::isnan(value) ? "NaN" : "infinite", " at step ", steps,
          " (epoch ", epoch + 1, "): ", first_not_finite(*net, b, key, optimizer->lr())});
  }
  return value;
}

Evaluation Trainer::Impl::validate(const DatasetPtr& part) {
  const Precision precision(config.precision);
  if (average) average->swap();
  Evaluation e;
  try {
    const Adapters::Use use(transfer->adapters(), true);
    e = evaluate(*net, part, transform, 256, static_cast<int>(std::min<int64_t>(1, config.workers)),
                 loss_name);
  } catch (...) {
    if (average) average->swap();
    throw;
  }
  if (average) average->swap();
  return e;
}

/// The weights as they are now, averaged if averages are kept.
void Trainer::Impl::write_model(const RunFolder& run, const std::string& score) {
  if (average) average->swap();
  const Adapters::Use use(transfer->adapters(), true);
  ModelInfo with = info;
  if (!score.empty()) with.extra["val_score"] = score;
  save_model(run.model_path(), *net, with);
  if (average) average->swap();
}

void Trainer::Impl::keep_as_best() {
  if (average) average->swap();
  {
    const Adapters::Use use(transfer->adapters(), true);
    best = values(net->variables());
  }
  if (average) average->swap();
}

void Trainer::Impl::end_epoch(double seconds, RunFolder* run) {
  EpochInfo i{epoch,
              steps,
              epoch_loss / static_cast<double>(std::max<int64_t>(1, epoch_samples)),
              std::nan(""),
              std::nan(""),
              optimizer->lr(),
              seconds};
  if (data.val) {
    Evaluation e = validate(data.val);
    i.val_loss = e.loss;
    i.val_score = e.score();
    if (entry->fit) judged = std::move(e);
  }
  schedule->metric(data.val ? i.val_loss : i.train_loss);
  history.push_back(i);
  const bool better = i.val_loss < best_loss;
  if (better) best_loss = i.val_loss;
  bad_epochs = better ? 0 : bad_epochs + 1;
  if (run) run->epoch(i);
  if (better) {
    if (run) {
      write_model(*run, Piece(i.val_score).text());
    } else {
      keep_as_best();
    }
  }
  if (callbacks.on_epoch) callbacks.on_epoch(i);
  ++epoch;
  batch_in_epoch = 0;
  epoch_loss = 0;
  epoch_samples = 0;
  if (!entry->fit) enter_epoch();
}

/// One epoch of one step: the model comes out whole.
void Trainer::Impl::fit_at_once(RunFolder* run) {
  const auto start = std::chrono::steady_clock::now();
  Tensor mean, std;
  FitData rows = fit_data(*data.train, transform), held_out;
  if (data.val) held_out = fit_data(*data.val, transform);
  rows.seed = held_out.seed = static_cast<uint64_t>(config.seed);
  rows.enough = [this] { return last_epoch.load(); };
  if (config.class_weights == "balanced" && !regression())
    rows.weights = balanced_weights(rows.labels, rows.outputs);
  if (rows.weights.empty())
    rows.weights = sample_weights;
  else
    for (size_t i = 0; i < sample_weights.size(); ++i) rows.weights[i] *= sample_weights[i];
  if (regression()) {
    mean = net->state()->find("output_mean").value();
    std = output_std(*net);
    const auto m = mean.to_vector<float>(), d = std.to_vector<float>();
    for (FitData* part : {&rows, &held_out})
      for (size_t i = 0; i < part->targets.size(); ++i)
        part->targets[i] = (part->targets[i] - m[i % m.size()]) / d[i % d.size()];
  }
  FittedModel fitted =
      fit_model(config.model, config.options, rows, data.val ? &held_out : nullptr);
  net = std::move(fitted.net);
  if (regression()) net = rescaled(fitted.scope, std::move(net), mean, std);
  info.options = fitted.options;
  steps = 1;
  epoch_samples = std::min<int64_t>(2000, rows.rows);
  Indices some(static_cast<size_t>(epoch_samples));
  for (size_t i = 0; i < some.size(); ++i)
    some[i] = static_cast<int64_t>(i) * rows.rows / epoch_samples;
  epoch_loss = validate(subset(data.train, some)).loss * static_cast<double>(epoch_samples);
  end_epoch(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), run);
  epoch = config.epochs;
}

// ---- the public face

static void check_settings(const TrainConfig& config) {
  config.check();
  if (const std::string begun = config.out + "/config.yaml"; config.resume && file_exists(begun))
    config.check_goes_on(TrainConfig::from_yaml_file(begun));
}

Trainer::Trainer(TrainConfig config, TrainCallbacks callbacks)
    : Trainer(config, (check_settings(config), open_dataset(config.data, open_options(config))),
              std::move(callbacks)) {}

Trainer::Trainer(TrainConfig config, DataSplits data, TrainCallbacks callbacks)
    : impl_(std::make_unique<Impl>()) {
  check_settings(config);
  impl_->config = std::move(config);
  impl_->callbacks = std::move(callbacks);
  impl_->data = std::move(data);
  impl_->memory_limit = parse_bytes("memory_limit", impl_->config.memory_limit);
  impl_->build();
}

Trainer::~Trainer() = default;

double Trainer::step(const Batch& batch) {
  if (impl_->entry->fit)
    fail(Error::Kind::usage, {impl_->config.model, " is fitted at once and has no steps"});
  return impl_->step(batch);
}
void Trainer::set_constant_lr(double lr) { impl_->schedule = schedule::constant(lr); }
void Trainer::finish() { impl_->last_epoch = true; }
void Trainer::stop() { impl_->stop_asked = true; }
bool Trainer::stopped() const { return impl_->was_stopped; }
Module& Trainer::model() { return *impl_->net; }
const ModelInfo& Trainer::info() const { return impl_->info; }
Optimizer& Trainer::optimizer() { return *impl_->optimizer; }
const Transform& Trainer::transform() const { return impl_->transform; }
const DataSplits& Trainer::data() const { return impl_->data; }
int64_t Trainer::steps_per_epoch() const { return impl_->epoch_batches(); }
const std::vector<EpochInfo>& Trainer::history() const { return impl_->history; }

Evaluation Trainer::run() {
  Impl& t = *impl_;
  std::unique_ptr<RunFolder> run;
  const auto finished = [&] {
    return t.epoch >= t.config.epochs || t.last_epoch ||
           (t.config.patience > 0 && t.bad_epochs >= t.config.patience);
  };
  if (!t.config.out.empty()) {
    run = std::make_unique<RunFolder>(t.config);
    const bool last = file_exists(run->checkpoint_path()),
               previous = file_exists(run->previous_path());
    if (t.config.resume && t.entry->fit && file_exists(run->model_path())) {
      Model fitted = load_model(run->model_path());
      t.net = std::move(fitted.net);
      t.info.options = fitted.info.options;
      t.epoch = t.config.epochs;
    } else if (t.config.resume && (last || previous)) {
      try {
        load_checkpoint(last ? run->checkpoint_path() : run->previous_path());
      } catch (const Error& e) {
        if (e.kind() != Error::Kind::data) throw;
        if (!last || !previous)
          fail(Error::Kind::data,
               {e.what(), "; remove ", run->checkpoint_path(), " to begin the run anew"});
        load_checkpoint(run->previous_path());
        log_warning({e.what(), "; going on from the checkpoint before it"});
      }
      log_info({"going on at epoch ", t.epoch + 1, ", step ", t.steps});
      if (t.best_loss < std::numeric_limits<double>::infinity() &&
          !file_exists(run->model_path())) {
        log_warning({run->model_path(),
                     ", the best model so far, is gone: the result is the best "
                     "of the epochs to come"});
        t.best_loss = std::numeric_limits<double>::infinity();
      }
    } else if (t.config.resume && !t.entry->fit) {
      log_warning({t.config.out, " holds no checkpoint: the run starts from its beginning"});
    }
    if (t.config.resume && finished() && file_exists(run->model_path())) {
      log_info({t.entry->fit ? cat({t.config.out, " is done"})
                             : cat({"all ", t.config.epochs, " epochs of ", t.config.out,
                                    " are done; --epochs with a larger number goes on"})});
      run->keep_config();
    }
    run->begin(t.steps, t.history.size());
  }
  const auto interrupted = [&] { return t.stop_asked || stop_requested(); };
  const auto save = [&] {  // the one before stays, for when this one is damaged
    std::error_code none_yet;
    std::filesystem::rename(run->checkpoint_path(), run->previous_path(), none_yet);
    save_checkpoint(run->checkpoint_path());
  };
  const auto stop_here = [&]() -> Evaluation {
    if (run) {
      save();
      log_info({"stopped after step ", t.steps,
                "; everything is saved. Go on with: nacre train --resume ", t.config.out});
    }
    t.was_stopped = true;
    return {};
  };
  if (t.entry->fit && t.epoch < t.config.epochs) {
    try {
      t.fit_at_once(run.get());
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::cancelled) throw;
      if (run) log_info({"stopped; begin again with: nacre train --resume ", t.config.out});
      t.was_stopped = true;
      return {};
    }
  }
  while (!finished()) {
    const auto start = std::chrono::steady_clock::now();
    Progress bar(cat({"epoch ", t.epoch + 1, "/", t.config.epochs}), t.epoch_batches(), "batches");
    bar.advance(t.batch_in_epoch);
    t.loader->start(t.epoch, t.batch_in_epoch);
    while (auto b = t.loader->next()) {
      const double loss = t.step(*b);
      ++t.batch_in_epoch;
      t.epoch_loss += loss * static_cast<double>(b->size());
      t.epoch_samples += b->size();
      bar.advance(1, cat({"loss ", t.epoch_loss / static_cast<double>(t.epoch_samples)}));
      if (run) run->step({t.epoch, t.steps, loss, t.optimizer->lr()});
      if (t.callbacks.on_step) t.callbacks.on_step({t.epoch, t.steps, loss, t.optimizer->lr()});
      const bool due = t.config.checkpoint_every > 0 && t.steps % t.config.checkpoint_every == 0;
      if (run && due && !interrupted()) save();
      if (interrupted()) return stop_here();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    try {
      t.end_epoch(seconds, run.get());
    } catch (const Error& e) {  // of the validation, which has changed nothing yet
      if (e.kind() != Error::Kind::cancelled) throw;
      return stop_here();
    }
    const EpochInfo& i = t.history.back();
    bar.finish(t.data.val ? cat({"loss ", i.train_loss, ", validation ", i.val_loss,
                                 t.regression() ? ", RMSE " : ", accuracy ",
                                 t.regression() ? -i.val_score : i.val_score})
                          : cat({"loss ", i.train_loss}));
    if (run) save();
  }
  if (run && (!t.data.val || !file_exists(run->model_path()))) t.write_model(*run, "");
  // The best by validation is the result.
  ModelInfo card = t.info;
  if (run && file_exists(run->model_path())) {
    const Model best = load_model(run->model_path());
    card = best.info;
    t.best.clear();
    for (const Variable& v : t.net->variables())
      t.best.push_back(best.net->state()->find(v.name()).value());
  }
  if (t.best.empty() && !t.data.val) t.keep_as_best();
  if (!t.best.empty()) {
    const auto variables = t.net->variables();
    for (size_t i = 0; i < variables.size(); ++i) Variable(variables[i]).set(t.best[i]);
    t.net->state()->commit();
    t.best.clear();
    t.average.reset();
    t.transfer->drop_adapters();
  }
  Evaluation test;
  try {
    test = t.judged && t.shown() == t.data.val ? *std::exchange(t.judged, std::nullopt)
                                               : t.validate(t.shown());
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::cancelled) throw;
    t.was_stopped = true;
    if (run) log_info({"stopped in the test; go on with: nacre train --resume ", t.config.out});
    return {};
  }
  if (const std::string warning = test.warning(); !warning.empty()) log_warning({warning});
  if (run) {
    write_card(card, t.config.data, t.config.seed,
               t.data.test  ? "test"
               : t.data.val ? "val"
                            : "train",
               test.score());
    save_model(run->model_path(), *t.net, card);
    run->finish(test,
                t.data.test  ? "Test"
                : t.data.val ? "Validation"
                             : "Training",
                *t.net, t.info, t.shown(), t.transform, t.history);
  }
  return test;
}

Json Trainer::Impl::position() const {
  Json j = Json::object();
  j["epoch"] = epoch;
  j["batch"] = batch_in_epoch;
  j["steps"] = steps;
  j["parts"] = parts;
  j["optimizer_steps"] = optimizer->steps();
  j["optimizer_values"] = optimizer->state()->variables().size();
  j["average_updates"] = average ? average->updates() : 0;
  j["epoch_loss"] = epoch_loss;
  j["epoch_samples"] = epoch_samples;
  j["bad_epochs"] = bad_epochs;
  j["best_loss"] = best_loss;
  j["fingerprint"] = std::to_string(fingerprint);
  Json memory = Json::array(), seen = Json::array(), epochs = Json::array();
  for (double v : schedule->memory()) memory.push_back(v);
  for (uint64_t h : seen_structures()) seen.push_back(std::to_string(h));
  for (const EpochInfo& i : history)
    epochs.push_back(
        Json::array({i.epoch, i.step, i.train_loss, i.val_loss, i.val_score, i.lr, i.seconds}));
  j["schedule"] = memory;
  j["seen"] = seen;
  Json kernels = Json::object();
  for (const auto& [work, way] : kernel_choices()) kernels.fields().emplace_back(work, way);
  if (kernels.size() > 0) j["kernels"] = kernels;
  j["history"] = epochs;
  return j;
}

void Trainer::save_checkpoint(const std::string& path) const {
  const Impl& t = *impl_;
  std::vector<NamedTensor> tensors;
  const auto put = [&](const char* prefix, const State& state) {
    for (const Variable& v : state.variables())
      tensors.emplace_back(prefix + v.name(), raw_tensor(v.value()));
  };
  put("model/", *t.net->state());
  put("optimizer/", *t.optimizer->state());
  if (t.average) put("average/", *t.average->state());
  if (t.transfer->adapters()) put("adapter/", *t.transfer->adapters()->state());
  const auto put_list = [&](const char* prefix, const Tensors& list) {
    for (size_t i = 0; i < list.size(); ++i)
      tensors.emplace_back(prefix + std::to_string(i), raw_tensor(list[i]));
  };
  put_list("pending/", t.pending);
  put_list("best/", t.best);
  put_list("start/", t.transfer->start());
  std::map<std::string, std::string> metadata = {{"format", "nacre-checkpoint-1"},
                                                 {"model", t.info.model},
                                                 {"options", t.info.options},
                                                 {"position", print_json(t.position())}};
  if (!t.config.from.empty()) metadata["start"] = print_json(t.start.to_json());
  save_safetensors(path, tensors, metadata);
}

void Trainer::load_checkpoint(const std::string& path) {
  Impl& t = *impl_;
  const SafeTensors file = SafeTensors::open(path);
  const auto meta = [&](const char* name) {
    const auto at = file.metadata().find(name);
    if (at == file.metadata().end())
      fail(Error::Kind::data, {path, " is not a checkpoint: its metadata has no '", name, "'"});
    return at->second;
  };
  if (meta("format") != "nacre-checkpoint-1")
    fail(Error::Kind::data, {path, " is not a checkpoint of this version"});
  if (meta("model") != t.info.model || meta("options") != t.info.options)
    fail(Error::Kind::usage, {path, " belongs to ", meta("model"), " (", meta("options"),
                              "), this run trains ", t.info.model, " (", t.info.options, ")"});
  const Json j = parse_json(meta("position"), path);
  if (j.at("fingerprint").text() != std::to_string(t.fingerprint))
    fail(Error::Kind::usage,
         {t.config.data.empty() ? "the data" : t.config.data, " does not hold the data that ", path,
          " was trained on; go on with those, or start a new run"});
  // Everything is read and checked before anything of the trainer changes.
  const auto value = [&](const std::string& name, const Tensor* like) {
    const RawTensor& raw = file.at(name);
    if (like && (raw.dtype != like->dtype() || raw.shape != like->shape()))
      fail(Error::Kind::data, {path, ": '", name, "' is ", raw.dtype, " ", raw.shape, ", expected ",
                               like->dtype(), " ", like->shape()});
    return copied_tensor(raw);
  };
  const auto values_of = [&](const std::string& prefix, const std::vector<Variable>& variables) {
    Tensors list;
    for (const Variable& v : variables) list.push_back(value(prefix + v.name(), &v.value()));
    return list;
  };
  const auto numbered = [&](const std::string& prefix, const std::vector<Variable>& variables) {
    Tensors list;
    for (const Variable& v : variables)
      list.push_back(value(prefix + std::to_string(list.size()), &v.value()));
    return list;
  };
  const auto variables = t.net->state()->variables();
  const Tensors model = values_of("model/", variables);
  const std::vector<Variable> averages =
      t.average ? t.average->state()->variables() : std::vector<Variable>();
  const Tensors averaged = values_of("average/", averages);
  const std::vector<Variable> adapters =
      t.transfer->adapters() ? t.transfer->adapters()->parameters() : std::vector<Variable>();
  const Tensors adapted = values_of("adapter/", adapters);
  std::vector<std::pair<std::string, Tensor>> memory_of_optimizer;
  for (const auto& [name, raw] : file.tensors()) {
    const std::string prefix = "optimizer/";
    if (name.rfind(prefix, 0) != 0) continue;
    const std::string own = name.substr(prefix.size());  // "exp_avg.conv1.weight"
    const std::string parameter = own.substr(own.find('.') + 1);
    Variable of = t.net->state()->find(parameter);
    if (!of.defined() && t.transfer->adapters())
      of = t.transfer->adapters()->state()->find(parameter);
    if (!of.defined())
      fail(Error::Kind::data, {path, ": '", name, "' belongs to no parameter of the model"});
    memory_of_optimizer.emplace_back(own, value(name, &of.value()));
  }
  const auto expected = static_cast<size_t>(
      j.integer_or("optimizer_values", static_cast<int64_t>(memory_of_optimizer.size())));
  if (memory_of_optimizer.size() != expected)
    fail(Error::Kind::data, {path, " has ", memory_of_optimizer.size(),
                             " values of the optimizer, expected ", expected});
  constexpr int64_t kMost = int64_t{1} << 40;
  const auto number = [&](const char* name, int64_t limit) {
    const int64_t v = j.at(name).integer();
    if (v < 0 || v > limit)
      fail(Error::Kind::data,
           {path, ": its position has ", name, " ", v, ", expected 0 to ", limit});
    return v;
  };
  const int64_t parts = j.has("parts") ? number("parts", t.config.accumulate - 1) : 0;
  const int64_t epoch = number("epoch", kMost);
  Tensors pending, best;
  if (parts > 0) pending = numbered("pending/", t.transfer->trained(epoch));
  if (file.find("best/0")) best = numbered("best/", t.net->variables());
  const Tensors start = numbered("start/", t.transfer->near_start());
  const int64_t batch = number("batch", kMost), steps = number("steps", kMost),
                optimizer_steps = number("optimizer_steps", kMost),
                updates = number("average_updates", kMost),
                epoch_samples = number("epoch_samples", kMost),
                bad_epochs = number("bad_epochs", kMost);
  const double epoch_loss = j.at("epoch_loss").number(), best_loss = j.at("best_loss").number();
  std::vector<double> memory;
  for (const Json& v : j.at("schedule").list()) memory.push_back(v.number());
  if (memory.size() != t.schedule->memory().size())
    fail(Error::Kind::data, {path, " has ", memory.size(), " numbers of the schedule, expected ",
                             t.schedule->memory().size()});
  std::vector<uint64_t> seen;
  for (const Json& v : j.at("seen").list()) {
    uint64_t h = 0;
    const std::string& text = v.text();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), h);
    if (error != std::errc() || end != text.data() + text.size())
      fail(Error::Kind::data, {path, ": '", text, "' is no hash of a structure"});
    seen.push_back(h);
  }
  KernelChoices kernels;
  if (const Json* list = j.find("kernels"))
    for (const auto& [work, way] : list->fields()) kernels[work] = way.text();
  std::vector<EpochInfo> history;
  for (const Json& e : j.at("history").list()) {
    const auto& l = e.list();
    if (l.size() != 7)
      fail(Error::Kind::data,
           {path, ": an entry of the history has ", l.size(), " numbers, expected 7"});
    history.push_back({l[0].integer(), l[1].integer(), l[2].number(), l[3].number(), l[4].number(),
                       l[5].number(), l[6].number()});
  }
  if (!memory.empty()) t.schedule->restore(memory);

  for (size_t i = 0; i < variables.size(); ++i) Variable(variables[i]).set(model[i]);
  for (size_t i = 0; i < averages.size(); ++i) Variable(averages[i]).set(averaged[i]);
  for (size_t i = 0; i < adapters.size(); ++i) Variable(adapters[i]).set(adapted[i]);
  std::vector<State*> states = {t.net->state().get()};
  if (t.average) states.push_back(t.average->state().get());
  if (t.transfer->adapters()) states.push_back(t.transfer->adapters()->state().get());
  State::commit(states, {});
  t.transfer->start() = start;
  t.optimizer->reset();
  for (const auto& [name, tensor] : memory_of_optimizer)
    t.optimizer->state()->add(name, tensor, false);
  t.optimizer->set_steps(optimizer_steps);
  if (t.average) t.average->set_updates(updates);
  restore_seen_structures(seen);
  set_kernel_choices(std::move(kernels));
  t.parts = parts;
  t.best = std::move(best);
  t.epoch = epoch;
  t.batch_in_epoch = batch;
  t.steps = steps;
  t.epoch_loss = epoch_loss;
  t.epoch_samples = epoch_samples;
  t.bad_epochs = bad_epochs;
  t.best_loss = best_loss;
  t.history = std::move(history);
  t.pending.clear();
  t.enter_epoch();
  t.pending = std::move(pending);
}

}  // namespace nacre
