#include <string_view>

#include "explain/scores.h"
#include "explain/walk.h"

namespace nacre::explain {
namespace {

void guided(Walk& walk, Node& n, std::span<const Tensor> arrived) {
  const std::string_view op = n.op->name;
  if (op == "relu" || op == "relu6") {
    const Tensor positive = maximum(arrived[0], 0);
    walk.send_gradient(n, {&positive, 1}, guided);
  } else {
    walk.send_gradient(n, arrived, guided);
  }
}

}  // namespace

Tensor guided_backprop(const Scores& f, const Tensor& x, const Classes& classes) {
  const Tensor at = identity(x);
  const Tensor score = class_scores(f, at, classes);
  return Walk({score}, {at}).run({ones_like(score)}, guided)[0];
}

}  // namespace nacre::explain
