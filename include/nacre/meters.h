// Measurements of a network while it computes.
//
//   for (const Sparsity& s : activation_sparsity(*net, x)) std::cout << s.path << s.zeros << "\n";
#pragma once

#include <string>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

/// How many of a module's outputs are exactly zero.
struct Sparsity {
  std::string path;  ///< of the module
  double zeros = 0;  ///< share, 0 to 1
};

/// The share of zero activations of each module of the net, in the order in which they run, in
/// evaluation mode on the batch x: what ReLU switches off.
std::vector<Sparsity> activation_sparsity(Module& net, const Tensor& x);

}  // namespace nacre
