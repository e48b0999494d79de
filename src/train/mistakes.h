// The wrong answers that a model was most sure of, for reports.
#pragma once

#include <functional>

#include "nacre/train.h"
#include "train/report.h"

namespace nacre {

/// A picture as the bytes of a PNG file.
std::string png_of(const Image& picture);

/// A picture of why a sample is taken for a class, as the bytes of a PNG file; empty if unknown.
using Reason = std::function<std::string(const Sample& sample, int64_t taken_for)>;

/// At most 24, the surest first. `e` is of the samples of `data` in their order.
std::vector<RunReport::Mistake> worst_mistakes(const Evaluation& e, const Dataset& data,
                                               const Reason& reason = nullptr);

}  // namespace nacre
