#include <cmath>

#include "explain/scores.h"
#include "nacre/autograd.h"

namespace nacre::explain {
namespace {

/// The unit's activation for each sample, [n].
Tensor activation(Module& net, const Tensor& x, const Unit& unit) {
  Context ctx = Context::eval();
  if (!unit.layer.empty()) ctx.taps[unit.layer] = {};
  Tensor y = net(x, ctx);
  if (!unit.layer.empty()) y = ctx.taps[unit.layer];
  if (!y.defined())
    fail(Error::Kind::usage,
         {"[activation_max] there is no layer '", unit.layer, "' (see: nacre zoo show)"});
  if (y.rank() < 2 || y.size(0) != x.size(0))
    fail(Error::Kind::usage, {"[activation_max] layer '", unit.layer, "' gives ", y.shape(),
                              ", which has no channels"});
  if (unit.channel < 0 || unit.channel >= y.size(1))
    fail(Error::Kind::usage, {"[activation_max] there is no channel ", unit.channel, ": '",
                              unit.layer, "' has ", y.size(1), ", counted from 0"});
  return mean(reshape(slice(y, 1, unit.channel, unit.channel + 1), {x.size(0), -1}), {1});
}

}  // namespace

ActivationMax activation_max(Module& net, const Shape& input, const Unit& unit,
                             const ActivationMaxOptions& o) {
  if (input.rank() != 3 || o.samples < 1 || o.steps < 1 || o.smooth < 0 || !(o.low < o.high))
    fail(Error::Kind::usage,
         {"[activation_max] input ", input, ", samples ", o.samples, ", steps ", o.steps,
          ", smooth ", o.smooth, " and values from ", o.low, " to ", o.high,
          ": a picture CxHxW, positive counts and a range that is not empty are needed"});
  Shape shape = {o.samples};
  for (int64_t d : input) shape.push_back(d);
  ActivationMax result;
  Tensor x = normal(shape, o.key) * o.noise;
  if (o.start.defined()) x = x + o.start;
  x = clip(x, o.low, o.high);
  eval(x);
  const auto objective = [&](const Tensor& at) {
    return activation(net, at, unit) - o.l2 * mean(square(at), {1, 2, 3});
  };
  for (int64_t k = 0; k < o.steps; ++k) {
    const double rate =
        o.lr * 0.5 * (1 + std::cos(M_PI * static_cast<double>(k) / static_cast<double>(o.steps)));
    const Tensor score = objective(x);
    Tensor g = grad(sum(score), {x})[0];
    for (int64_t i = 0; i < o.smooth; ++i) g = avg_pool2d(g, 3, {.stride = {1}, .padding = {1}});
    const Tensor size = mean(abs(g), {1, 2, 3}, true);
    Tensor next = clip(x + g * (Tensor(rate) / (size + 1e-12)), o.low, o.high);
    const Tensor before = mean(score);
    eval({next, before});
    result.objective.push_back(before.item());
    x = std::move(next);
  }
  {
    NoGrad guard;
    result.objective.push_back(mean(objective(x)).item());
  }
  result.pictures = std::move(x);
  return result;
}

}  // namespace nacre::explain
