// The wrong answers that a model was most sure of, for reports.
#pragma once

#include "nacre/train.h"
#include "train/report.h"

namespace nacre {

/// A picture as the bytes of a PNG file.
std::string png_of(const Image& picture);

/// At most 24, the surest first. `e` is of the samples of `data` in their order.
std::vector<RunReport::Mistake> worst_mistakes(const Evaluation& e, const Dataset& data);

}  // namespace nacre
