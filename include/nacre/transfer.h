// Transfer: what a network learned on one task, put to use on another.
//
//   auto net = make_model("resnet18", "classes=5", Scope::load(weights, false, Key(0)));
//   Layers layers(*net, {3, 224, 224});
//   layers.freeze("stem,layer[1-3]");                  // batch norms in there run as in evaluation
//   Adam adam(net->trainable(), {.lr = 1e-3});
//   adam.set_lr_scales(layers.lr_scales(net->trainable(), "layer4=0.1"));
//
// The trainer does all this by settings: see TrainConfig in nacre/train.h and docs/transfer.md.
//
// Parameters are chosen by lists of patterns with commas between them: regular expressions of
// RE2 that are searched anywhere in a name ("layer[1-3],^conv1\\."); a comma within brackets,
// braces or parentheses belongs to its pattern. Where no name holds the word, "stem" is
// the first layer that has parameters and "head" the last.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/data.h"
#include "nacre/formats.h"
#include "nacre/nn.h"

namespace nacre {

/// The parameters of a model in the order in which a pass through it uses them, from the input to
/// the head; those that only training uses come last.
class Layers {
 public:
  /// `input` is the shape of one sample, without the batch.
  Layers(Module& net, const Shape& input);

  /// Names of the variables that patterns match, in order of construction. Throws Error(usage) for
  /// what is no regular expression and for a pattern that matches no parameter.
  std::vector<std::string> matching(std::string_view patterns) const;
  /// Freezes parameters by patterns, and buffers that they match; returns how many parameters. They
  /// get no gradient and no memory of an optimiser, and a BatchNorm whose weight and bias are
  /// frozen works as in evaluation.
  int64_t freeze(std::string_view patterns) const;
  /// The names of the parameters of each layer. A layer is a part of the model down to its first
  /// number ("layer1.0", "features.3", "blocks.2"), or a module that has none; one of vectors only
  /// (a normalisation) belongs to the layer before it.
  std::vector<std::vector<std::string>> by_depth() const;
  /// Factors on the learning rate for these parameters. `scales` is a list of "pattern=factor" with
  /// factors of at least 0, of which the first that matches counts; `decay` multiplies the rate of
  /// each layer by that of the layer above it (Howard and Ruder 2018: 1 / 2.6), the head's by 1.
  /// Throws Error(usage).
  std::vector<double> lr_scales(const std::vector<Variable>& parameters, std::string_view scales,
                                double decay = 1) const;
  const std::vector<Variable>& variables() const { return variables_; }

 private:
  friend class Unfreezing;
  std::vector<Variable> found(const std::string& pattern) const;
  std::vector<Variable> variables_;   ///< in order of construction
  std::vector<Variable> parameters_;  ///< in order of use
  std::string stem_, head_;           ///< patterns
};

/// Gradual unfreezing (Howard and Ruder 2018): "head@0,layer4@2,layer3@4" trains the head from
/// epoch 0 on, layer4 too from epoch 2 on, and so forth; what no pattern matches stays frozen.
class Unfreezing {
 public:
  /// Parameters that are frozen already stay so. Throws Error(usage).
  Unfreezing(const Layers& layers, std::string_view plan);
  /// The epoch from which a parameter is trained; -1: never.
  int64_t since(const Variable& v) const;
  /// Freezes and unfreezes the variables as it is from the beginning of this epoch on. Buffers go
  /// with the parameters of their module.
  void apply(int64_t epoch) const;

 private:
  std::vector<Variable> variables_;
  std::map<std::string, int64_t, std::less<>> since_;
};

/// Few parameters that correct the weights of a model, which stay as they are; at the start they
/// correct nothing.
///
///   Adapters adapters(*net, {1, 28, 28}, {.kind = Adapters::Kind::lora, .rank = 4}, Key(0));
///   net->freeze("");                              // all but the adapters
///   Adam adam(adapters.parameters(), {.lr = 1e-3});
///   { Adapters::Use use(adapters); loss = cross_entropy((*net)(x, ctx), y); }
///   adam.step(grad(loss, values(adapters.parameters())));
///   ...
///   adapters.merge();                             // net is now a plain model again
class Adapters {
 public:
  enum class Kind {
    /// W + alpha / rank * B A for every weight W of layers, flattened to [out, in * kernel] (Hu et
    /// al. 2022, arXiv:2106.09685); B is zero at the start.
    lora,
    /// A convolution of size 1 with a way around it after every convolution without groups, y + U V
    /// y (Rebuffi, Bilen and Vedaldi 2017, arXiv:1705.08045; of low rank, to have few parameters);
    /// U is zero at the start. It changes weight and bias of the convolution before it alike, so
    /// that it costs nothing once merged.
    residual
  };
  struct Options {
    Kind kind = Kind::lora;
    int64_t rank = 4;                   ///< at most that of a weight itself
    double alpha = 0;                   ///< of lora; 0: rank, so that the factor is 1
    std::string layers{};               ///< patterns of weights; empty: all
    std::vector<std::string> except{};  ///< names of weights that get none
  };
  /// `input` as for Layers. Throws Error(usage), also where no weight is adapted.
  Adapters(Module& net, const Shape& input, const Options& o, const Key& key);
  ~Adapters();
  Adapters(const Adapters&) = delete;
  Adapters& operator=(const Adapters&) = delete;

  /// While one lives, the model computes with corrected weights: as functions of the adapters, or
  /// (values) as numbers, for evaluation and for saving.
  class Use {
   public:
    explicit Use(Adapters* adapters, bool values = false);  ///< null: nothing happens
    explicit Use(Adapters& adapters) : Use(&adapters) {}
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Adapters* adapters_;
  };

  /// Writes the corrected weights into the model; the adapters correct nothing again.
  void merge();
  /// "lora_a.conv1.weight" and the like.
  const std::vector<Variable>& parameters() const { return state_->variables(); }
  const std::shared_ptr<State>& state() const { return state_; }
  int64_t parameter_count() const;

 private:
  struct Part {
    Variable weight, bias, a, b;  ///< bias: of the layer, with residual adapters
  };
  std::vector<std::pair<Variable, Tensor>> corrected() const;
  Options o_;
  std::vector<Part> parts_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// alpha / 2 times the squared distance of parameters from where they started, to be added to a
/// loss (L2-SP: Li, Grandvalet and Davoine 2018, arXiv:1802.01483).
Tensor distance_penalty(const std::vector<Variable>& parameters, const Tensors& start,
                        double alpha);

// ---- samples of another distribution

struct ImportanceOptions {
  std::string model = "logistic_regression";  ///< of the zoo, that tells the data sets apart
  int64_t epochs = 30, folds = 2;
  double lr = 0.03;  ///< of its training
  double most = 20;  ///< times the mean that a weight may be
  uint64_t seed = 0;
};
/// How much likelier each sample of `source` is among those of `target`, by a classifier that tells
/// the two apart and has not seen the sample (Bickel, Bruckner and Scheffer 2007): p / (1 - p), of
/// mean 1. Labels are not looked at. Training with such weights fits the target's distribution of
/// inputs (see TrainConfig::sample_weights). Throws Error(data) for fewer than `folds` samples.
std::vector<double> importance_weights(const DatasetPtr& source, const DatasetPtr& target,
                                       const ImportanceOptions& o = {});

/// "name,weight" lines with Dataset::name, and back: for the samples of `data`, of mean 1. Throws
/// Error(io), and Error(data) for what is no such file, lacks a sample or holds only zeros.
void write_sample_weights(const std::string& path, const Dataset& data,
                          const std::vector<double>& weights);
std::vector<float> read_sample_weights(const std::string& path, const Dataset& data);

// ---- features

/// Outputs of layers in evaluation mode for all samples, by module path ("layer3.0"; see
/// list_layers in nacre/zoo.h): f32 [samples, ...] under the layer's name, then i64 "labels"
/// [samples] if there are any. `pool` averages over the positions of pictures. Throws Error(usage)
/// for a layer that a pass does not reach, with the names of those that it does.
std::vector<NamedTensor> extract_features(Module& net, const DatasetPtr& data,
                                          const Transform& transform,
                                          const std::vector<std::string>& layers, bool pool = false,
                                          int64_t batch = 64, int workers = 1);

}  // namespace nacre
