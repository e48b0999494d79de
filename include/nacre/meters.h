// Measurements of a network while it computes.
//
//   for (const Sparsity& s : activation_sparsity(*net, x)) std::cout << s.path << s.zeros << "\n";
#pragma once

#include <string>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

/// How many outputs of a ReLU are zero.
struct Sparsity {
  std::string path;  ///< of the module that is the ReLU, or whose output goes into it
  double zeros = 0;  ///< share, 0 to 1
};

/// The share of zero activations after each ReLU of the net, in the order in which they run, in
/// evaluation mode on the batch x. Empty for a net without them or an empty batch.
std::vector<Sparsity> activation_sparsity(Module& net, const Tensor& x);

}  // namespace nacre
