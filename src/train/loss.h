// The losses that training can minimise, by name.
#pragma once

#include "nacre/train.h"

namespace nacre {

/// "auto" becomes cross_entropy for classes and mse for values. Throws Error(usage) if the name
/// does not fit the data, or if labels should be smoothed for another loss than
/// cross_entropy.
std::string choose_loss(const TrainConfig& config, bool regression);

/// The mean loss of outputs y [n, outputs] on a batch. mse and perceptron of classes compare with
/// 1 for the class of a sample and -1 for the others; mse of values measures them in units of
/// `std` [outputs], if there is one. class_weights [classes], if there are any, are how much a
/// mistake counts, for cross_entropy and focal.
Tensor loss_of(const std::string& name, const Tensor& y, const Batch& batch,
               double label_smoothing = 0, const Tensor& std = {},
               const Tensor& class_weights = {});

}  // namespace nacre
