#include "explain/scores.h"

namespace nacre::explain {

Tensor smooth_grad(const Scores& f, const Tensor& x, const Classes& classes, const Tensor& noise) {
  if (noise.rank() != x.rank() + 1 || noise.shape().slice(1, noise.rank()) != x.shape())
    fail(Error::Kind::shape, {"[smooth_grad] noise has shape ", noise.shape(),
                              ", draws of the shape of x (", x.shape(), ") are needed"});
  const int64_t draws = noise.size(0);
  Tensor total = zeros(x.shape(), x.dtype());
  for (int64_t k = 0; k < draws; ++k) {
    total += gradient(f, x + reshape(slice(noise, 0, k, k + 1), x.shape()), classes);
    eval(total);
  }
  return total / static_cast<double>(draws);
}

Tensor smooth_grad(const Scores& f, const Tensor& x, const Classes& classes,
                   const SmoothGradOptions& options) {
  if (options.samples < 1 || !(options.noise >= 0))
    fail(Error::Kind::usage, {"[smooth_grad] samples is ", options.samples, " and noise ",
                              options.noise, "; at least 1 and 0 are needed"});
  Shape shape = {options.samples};
  for (int64_t d : x.shape()) shape.push_back(d);
  const Tensor deviation = (amax(x) - amin(x)) * options.noise;
  return smooth_grad(f, x, classes, normal(shape, options.key) * deviation);
}

}  // namespace nacre::explain
