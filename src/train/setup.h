// From a configuration and a data set to what a run needs: parts, model options, transform.
#pragma once

#include "nacre/train.h"

namespace nacre {

/// How the data of a configuration are opened.
OpenOptions open_options(const TrainConfig& config);

/// How parts were split off the training part, for the model file; "" if the data have a test part.
std::string split_text(const DataSplits& data, const TrainConfig& config);
/// Splits data again as they were for the model whose file holds `text`. False, and nothing done,
/// if these are other data.
bool split_again(DataSplits& data, const std::string& text);

/// Fills the parts that the data lack: a test part, then a validation part, stratified by class. A
/// share of 0 leaves the part out.
void prepare_splits(DataSplits& data, const TrainConfig& config);

/// The steps that make pictures of clips like these, as `--transform auto` begins.
std::string clip_steps(const Dataset& train);

/// Warns of rows whose value to predict is missing and leaves them out.
void leave_out_unlabelled(DatasetPtr& part);

/// Throws Error(data) for a label that is no class, with its class, sample and file.
void check_labels(const Dataset& data);

/// Changes whenever the training data do. Parts may be missing, but for the training part.
uint64_t data_fingerprint(const DataSplits& data);

/// One sentence naming settings that were changed and have no effect; else empty.
std::string settings_without_use(const TrainConfig& config, const ModelEntry& entry,
                                 bool regression);

/// What a model file says of its training: the name of the data, the seed, and the part that it was
/// judged on with the score there.
void write_card(ModelInfo& info, const std::string& data, int64_t seed, const std::string& part,
                double score);

struct Setup {
  Transform transform;
  std::string options;  ///< of the model, with channels, classes and features of the data
  Shape input;          ///< of one sample after the transform
  std::map<std::string, std::string> extra;
};
Setup fit_to_data(const ModelEntry& entry, const TrainConfig& config, const DataSplits& data);

/// A model of values in their own units, which inside learns them as (value - mean) / deviation.
std::unique_ptr<Module> scaled_to_targets(const Scope& scope, std::unique_ptr<Module> net,
                                          const Dataset& data);

}  // namespace nacre
