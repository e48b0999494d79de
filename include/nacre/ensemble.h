// Several models as one: the weighted mean of their probabilities, or of their values.
//
//   std::vector<Model> members = {load_model("a.safetensors"), load_model("b.safetensors")};
//   Model both = make_ensemble(std::move(members), {0.5, 0.5});
//   save_model("both.safetensors", *both.net, both.info);     // a model file like any other
#pragma once

#include <vector>

#include "nacre/zoo.h"

namespace nacre {

/// A model of the zoo ("ensemble") that holds the members, which must be of the same data: classes
/// and inputs agree. Transforms may differ in the random steps that matter in training only, and
/// for rows in how missing values are filled and columns scaled, once columns are chosen. Weights
/// are above 0 and are divided by their sum. Throws Error(usage) for members that do not go
/// together.
Model make_ensemble(std::vector<Model> members, const std::vector<double>& weights);

}  // namespace nacre
