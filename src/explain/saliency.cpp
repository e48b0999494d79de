#include "explain/scores.h"

namespace nacre::explain {

Tensor saliency(const Scores& f, const Tensor& x, const Classes& classes) {
  return abs(gradient(f, x, classes));
}

}  // namespace nacre::explain
