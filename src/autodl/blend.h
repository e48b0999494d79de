// Which trials make a good ensemble.
#pragma once

#include "autodl/task.h"

namespace nacre {

struct Candidate {
  std::vector<float> scores;  ///< of task.judged()
  uint64_t bytes = 0;
  double latency = 0;
  double testing = 0;  ///< seconds for the test part
};

/// Weights of the candidates, which are best first, that sum to 1: the one that adds most is taken
/// again and again, from all of them (Caruana et al., Ensemble selection from libraries of models,
/// ICML 2004). The first alone if nothing is better than it by a hundredth, or fits the limits, one
/// of which is the time to test all members.
std::vector<double> blend(const FitTask& task, const std::vector<Candidate>& candidates,
                          double seconds = 1e300);

}  // namespace nacre
