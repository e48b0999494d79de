// Training: from a data set to a run folder with a model, its curves and a report.
//
//   TrainConfig c;
//   c.model = "lenet5"; c.data = "data/digits"; c.out = "runs/a"; c.epochs = 20;
//   Trainer trainer(c);
//   Evaluation test = trainer.run();                // resumes if the folder holds an unfinished
//   run and c.resume is set std::cout << test.report.accuracy << "\n";
//
// or by hand:
//
//   for (auto batch = loader.next(); batch; batch = loader.next()) double loss =
//   trainer.step(*batch);
//
// A run folder holds config.yaml, metrics.jsonl, TensorBoard event files, checkpoints/,
// model.safetensors (the best by validation) and report.html. A run that was stopped or killed and
// then resumed gives the same bits as one never stopped: with the same seed, number of threads and
// machine, whatever the number of loader threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nacre/data.h"
#include "nacre/metrics.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

namespace nacre {

struct TrainConfig {
  std::string model = "lenet5";
  std::string options;  ///< of the model; channels, classes and in are set from the data
  std::string data;
  std::string target;              ///< of a table: column to predict; empty: as CsvOptions says
  std::string task = "auto";       ///< of a table: classes or values are predicted; auto: by looks
  std::string out;                 ///< run folder; empty: nothing is written
  std::string transform = "auto";  ///< see nacre/transforms.h; auto: to the model's input size,
                                   ///< normalised by the data's mean; selected: the same for a
                                   ///< table, of which only columns that go with the target in
                                   ///< the training part are used (see nacre/screening.h)
  /// Weights to start from (see nacre/weights.h); parameters that they lack, or have in another
  /// shape, start fresh, such as the head for other classes.
  std::string from;
  std::string freeze;      ///< patterns of parameters that stay as they are, see nacre/transfer.h
  std::string unfreeze;    ///< gradual: "head@0,layer4@2"; what it does not name stays frozen
  std::string lr_scale;    ///< factors on the learning rate: "stem=0.1,layer1=0.3"
  double layer_decay = 1;  ///< the rate of a layer as a share of that of the layer above it
  /// none; lora, residual: few parameters that correct the weights, which stay. Besides them the
  /// head, what starts fresh and normalisations are trained. The model file has the sum.
  std::string adapter = "none";
  int64_t adapter_rank = 4;
  double adapter_alpha = 0;    ///< of lora: its factor times the rank; 0: the rank
  std::string adapter_layers;  ///< patterns of weights that get adapters; empty: all but the head
  /// File of "name,weight" lines: how much each training sample counts (see nacre/transfer.h); the
  /// loss that is shown does not.
  std::string sample_weights;
  /// Penalty on half the squared distance from the weights that the run started from (L2-SP); l2 is
  /// then of the others alone.
  double l2_sp = 0;
  int64_t epochs = 10, batch = 64;
  /// cross_entropy, focal, margin, mse or perceptron; auto: cross_entropy for classes, mse for
  /// values.
  /// focal: cross-entropy times (1 - p)^2, so that what is learned already counts little (Lin et
  /// al. 2017, arXiv:1708.02002). mse and perceptron of classes compare with 1 for the class of a
  /// sample and -1 for the others; perceptron is the sum over classes of max(0, -target * score).
  /// margin takes the sigmoid p of a score for the length of a capsule: max(0, 0.9 - p)^2 for the
  /// class of a sample, max(0, p - 0.1)^2 / 2 for the others (Sabour et al. 2017).
  std::string loss = "auto";
  std::string optimizer = "adamw";
  double lr = 1e-3, weight_decay = 1e-2, momentum = 0.9;
  std::string schedule = "one_cycle";
  double label_smoothing = 0;
  double l1 = 0, l2 = 0;   ///< penalties on the loss
  double clip_norm = 0;    ///< 0: no clipping
  int64_t accumulate = 1;  ///< batches per update
  double ema = 0;          ///< decay of averaged weights, which are then the model; 0: none
  std::string sampler = "shuffle";  ///< shuffle, balanced
  /// none; balanced: a mistake counts rows / (classes * rows of its class), so that all classes
  /// together count the same.
  std::string class_weights = "none";
  int64_t patience = 0;  ///< epochs without a better validation loss before stopping; 0: never
  /// Taken from the training part if the data have no validation part. 0: none, and the model is
  /// that of the last epoch.
  double val_share = 0.1;
  /// Taken first if the data have no test part. 0: none; what is reported is of the validation
  /// part, or else of the training part.
  double test_share = 0.2;
  /// Of the work space of a training step: "2GB". Activations are computed again where they would
  /// take more (set_memory_limit). "0": any.
  std::string memory_limit = "0";
  int64_t checkpoint_every = 0;  ///< steps; 0: at the end of each epoch
  int64_t seed = 0, workers = 2;
  /// f32, or bf16: what convolutions and matrix products multiply (see nacre/precision.h).
  std::string precision = "f32";
  /// Of samples that cannot be read. fail: end with an error when one is met; skip: read all
  /// samples once before training, and leave those out.
  std::string on_error = "fail";
  bool resume = false;

  void fields(FieldVisitor& v);
  std::string to_yaml() const;
  /// The defaults with the settings that fit this model. Throws Error(usage) if there is none.
  static TrainConfig for_model(const std::string& model);
  /// What the file does not set is as for_model gives it. Throws Error(usage) for unknown keys and
  /// wrong types, naming those that are known.
  static TrainConfig from_yaml_file(const std::string& path);
  /// Throws Error(usage) for a value outside its range and for a setting that the others leave
  /// without effect, before any data are read.
  void check() const;
  /// Why a setting has no effect beside the others, "adapter_rank is of adapters; ..."; empty: it
  /// has one.
  std::string without_effect(const std::string& name) const;
  /// Throws Error(usage) for a setting with which a run begun with `begun` cannot go on: what the
  /// checkpoint depends on, from the model to the seed. Its number of epochs, rates, place of the
  /// data and the like may change.
  void check_goes_on(const TrainConfig& begun) const;
  /// Names of all fields, in order.
  static std::vector<std::string> names();
  /// What a setting that is a word may be, "shuffle, balanced"; empty for others.
  static std::string choices(const std::string& name);
  /// Sets one field from text. Throws Error(usage).
  void set(const std::string& name, const std::string& value);
};

/// How good a model is on a data set.
struct Evaluation {
  double loss = 0;  ///< of values in units of their deviation in training
  bool regression = false;
  std::vector<std::string> classes;
  std::vector<int64_t> labels, predicted;
  std::vector<float> scores;   ///< probabilities [n, classes], or predicted values
  std::vector<float> targets;  ///< values (regression)
  ConfusionMatrix confusion;
  ClassificationReport report;
  double rmse = 0, r2 = 0;  ///< regression
  double seconds = 0;       ///< that it took
  double top_k(int64_t k) const;
  /// Accuracy, or minus the RMSE: higher is better.
  double score() const { return regression ? -rmse : report.accuracy; }
  /// One sentence if the model is worse than one that knows only the mean; else empty.
  std::string warning() const;
};

/// Runs a model over a data set in evaluation mode. `loss` is as in TrainConfig, and only classes
/// have a choice: cross_entropy of the probabilities, mse, or for perceptron the share of mistakes.
/// Throws Error(cancelled) when a stop is requested.
Evaluation evaluate(Module& net, const DatasetPtr& data, const Transform& transform,
                    int64_t batch = 256, int workers = 1,
                    const std::string& loss = "cross_entropy");

struct StepInfo {
  int64_t epoch, step;
  double loss, lr;
};
struct EpochInfo {
  int64_t epoch, step;
  double train_loss, val_loss, val_score, lr, seconds;  ///< val_*: NaN without a validation part
};

/// Told what happens; also may stop a run (request_stop of base, or Trainer::stop).
struct TrainCallbacks {
  std::function<void(const StepInfo&)> on_step;
  std::function<void(const EpochInfo&)> on_epoch;
};

class Trainer {
 public:
  /// Opens the data, splits it, and builds model and optimiser. Throws Error.
  explicit Trainer(TrainConfig config, TrainCallbacks callbacks = {});
  /// As above, for data and a transform that are at hand.
  Trainer(TrainConfig config, DataSplits data, TrainCallbacks callbacks = {});
  ~Trainer();

  /// All epochs, or fewer with patience; then the weights of the epoch with the least validation
  /// loss are put back, evaluated on the test part and reported (see TrainConfig::test_share). Ends
  /// early when stopped: see stopped().
  Evaluation run();
  /// One update (or, with accumulate > 1, one part of it) on a batch; returns the loss. Throws
  /// Error(numeric) if it is not finite, with the first layer whose output is not. An Error leaves
  /// model and optimiser as they were; the parts of an update that was begun are given up.
  double step(const Batch& batch);
  /// Leaves the schedule: this rate from now on.
  void set_constant_lr(double lr);
  /// Asks run() to end after this step, saved.
  void stop();
  /// Makes this epoch the last one; trees are then done with the rounds, or trees, that there are.
  /// May be called from any thread.
  void finish();
  bool stopped() const;

  Module& model();
  const ModelInfo& info() const;
  Optimizer& optimizer();
  const Transform& transform() const;
  const DataSplits& data() const;
  int64_t steps_per_epoch() const;
  const std::vector<EpochInfo>& history() const;

  /// Writes and reads the whole state: parameters, optimiser, schedule, position, metric history.
  void save_checkpoint(const std::string& path) const;
  void load_checkpoint(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Learning-rate range test (Smith 2017): losses while the rate grows from `low` to `high`; the
/// model is as before afterwards.
struct LrCurve {
  std::vector<double> lr, loss;
  double suggestion = 0;  ///< where the smoothed loss falls fastest
};
LrCurve find_lr(const TrainConfig& config, double low = 1e-6, double high = 1, int64_t steps = 100);

}  // namespace nacre
