// What a run does with the weights that it began from: which stay, at what rates the others learn,
// and what keeps them near their start.
#pragma once

#include "base/json.h"
#include "nacre/train.h"
#include "nacre/transfer.h"

namespace nacre {

/// Where the parameters of a model came from.
struct Start {
  std::string file;
  int64_t taken = 0;
  std::vector<std::string> fresh, wrong_shape;  ///< the latter are of the former, with the shapes
  std::vector<std::string> names;               ///< of the file
  std::vector<std::string> asked;               ///< by the model
  /// One sentence: what was taken, what starts fresh, what was left in the file.
  std::string text() const;
  /// What a run that goes on needs of it, and back.
  Json to_json() const;
  static Start from_json(const Json& j);
};

/// Parameters from a model file where names and shapes agree, fresh ones elsewhere. `start` is
/// filled as the model is made, and must outlive the scope.
Scope scope_from(const std::string& path, const Key& key, Start* start);

class Transfer {
 public:
  /// Throws Error(usage) for settings that do not go together or choose nothing.
  Transfer(const TrainConfig& config, Module& net, const Shape& input, const Start& start,
           const Key& key);
  /// What is trained in this epoch: parameters in order of construction, then adapters.
  std::vector<Variable> trained(int64_t epoch) const;
  /// What is trained in any epoch.
  std::vector<Variable> ever_trained() const;
  /// Freezes and unfreezes as it is from the beginning of this epoch on.
  void enter(int64_t epoch) const;
  /// The epoch in which a parameter joined.
  int64_t since(const Variable& v) const;
  /// Factors on the learning rate.
  std::vector<double> scales(const std::vector<Variable>& of) const;
  /// What is added to the loss for these parameters; undefined: nothing.
  Tensor penalty(const std::vector<Variable>& of) const;
  /// Null: there are none.
  Adapters* adapters() const { return adapters_.get(); }
  /// The adapters' corrections are in the model already.
  void drop_adapters() { adapters_.reset(); }
  /// Values that the model started from, for a checkpoint.
  Tensors& start() { return start_; }
  const std::vector<Variable>& near_start() const { return near_; }

 private:
  Module& net_;
  Layers layers_;
  std::string lr_scale_;
  double layer_decay_, l1_, l2_, l2_sp_;
  std::unique_ptr<Adapters> adapters_;
  std::unique_ptr<Unfreezing> unfreezing_;
  std::vector<Variable> near_;  ///< held near start_
  Tensors start_;
};

}  // namespace nacre
