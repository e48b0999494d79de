#include <algorithm>

#include "explain/scores.h"

namespace nacre::explain {

IntegratedGradients integrated_gradients(const Scores& f, const Tensor& x, const Classes& classes,
                                         const IntegratedGradientsOptions& options) {
  if (options.steps < 1 || options.batch < 1)
    fail(Error::Kind::usage, {"[integrated_gradients] steps is ", options.steps, " and batch ",
                              options.batch, "; both should be at least 1"});
  const Tensor base = like(options.baseline, x), way = x - base;
  const int64_t n = x.size(0);
  const Classes each = for_each(classes, n);
  Tensor total = zeros(x.shape(), x.dtype());
  for (int64_t from = 0; from < options.steps; from += options.batch) {
    const int64_t count = std::min(options.batch, options.steps - from);
    std::vector<float> at;
    Classes repeated;
    for (int64_t k = from; k < from + count; ++k) {
      at.push_back((static_cast<float>(k) + 0.5f) / static_cast<float>(options.steps));
      repeated.insert(repeated.end(), each.begin(), each.end());
    }
    Shape points = {count}, step = x.shape(), flat = x.shape();
    for (int64_t d : x.shape()) points.push_back(d);
    flat[0] = count * n;
    Shape first(static_cast<size_t>(points.rank()), 1);
    first[0] = count;
    const Tensor positions = cast(Tensor::from(at, first), x.dtype());
    const Tensor g = gradient(f, reshape(base + positions * way, flat), repeated);
    total += sum(reshape(g, points), {0});
    eval(total);
  }
  IntegratedGradients result;
  result.map = way * total / static_cast<double>(options.steps);
  result.gap = class_scores(f, x, each) - class_scores(f, base, each) -
               sum(reshape(result.map, {n, -1}), {1});
  return result;
}

}  // namespace nacre::explain
